"""The commands that keep a book: keys, the switch, copies and anchors."""

import re
from pathlib import Path

from tests.cli.programs import run, serve


def test_a_key_is_made_used_replaced_and_revoked(tmp_path: Path) -> None:
    made = run("keys", "create", "till", "--scope", "operate", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    text = made.stdout.splitlines()[0]
    ident = re.search(r"key_[0-9a-f]{32}", made.stdout)
    assert ident is not None
    listed = run("keys", "list", cwd=tmp_path).stdout
    assert ident[0] in listed
    assert "operate" in listed
    assert text not in listed
    with serve(cwd=tmp_path) as server:
        connection = server.connect()
        for header, status in ((None, 401), (text, 200), (text + "x", 401)):
            headers = {"Authorization": f"Bearer {header}"} if header else {}
            connection.request("GET", "/api/v1/customers", headers=headers)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == status
        connection.close()
    replaced = run("keys", "rotate", ident[0], "--keep-hours", "1", cwd=tmp_path)
    assert replaced.stdout.splitlines()[0] != text
    assert run("keys", "revoke", ident[0], cwd=tmp_path).returncode == 0
    assert "revoked" in run("keys", "list", cwd=tmp_path).stdout
    refused = run("keys", "revoke", "key_nonsense", cwd=tmp_path)
    assert (refused.returncode, "api_key_not_found" in refused.stderr) == (3, True)


def test_with_a_key_other_addresses_may_be_served(tmp_path: Path) -> None:
    assert run("keys", "create", "dashboard", cwd=tmp_path).returncode == 0
    # 127.0.0.2 would do without a key; that all addresses are listened at shows in what it says.
    with serve("--host", "0.0.0.0", cwd=tmp_path, said_host="0.0.0.0") as server:
        assert server.ask("GET", "/api/v1/customers")[0] == 401


def test_sending_is_stopped_shown_and_started(tmp_path: Path) -> None:
    assert "open" in run("sending", "show", cwd=tmp_path).stdout
    stopped = run("sending", "stop", "--reason", "a drill", "--by", "ann", cwd=tmp_path)
    assert stopped.returncode == 0
    assert "stopped, by ann" in stopped.stdout
    assert "a drill" in run("sending", "show", cwd=tmp_path).stdout
    assert "open, by" in run("sending", "start", "--reason", "done", cwd=tmp_path).stdout
    held = run("sending", "hold", "--reason", "pg_restore", cwd=tmp_path)
    assert "reconciling" in held.stdout


def test_a_book_is_copied_anchored_and_brought_back(tmp_path: Path) -> None:
    assert run("backup", "copy.db", cwd=tmp_path).returncode == 2, "there is no book yet"
    assert not (tmp_path / "billing.db").exists()
    assert run("keys", "create", "till", cwd=tmp_path).returncode == 0
    copied = run("backup", "copy.db", cwd=tmp_path)
    assert copied.returncode == 0, copied.stderr
    assert "The key is not in it" in copied.stdout
    assert run("anchor", "anchors.jsonl", cwd=tmp_path).returncode == 0
    verified = run("verify", "--anchor", "anchors.jsonl", cwd=tmp_path)
    assert (verified.returncode, "1 anchors" in verified.stdout) == (0, True)
    refused = run("restore", "copy.db", cwd=tmp_path)
    assert (refused.returncode, "not overwritten" in refused.stderr) == (3, True)
    restored = run("restore", "copy.db", "--database", "again.db", cwd=tmp_path)
    assert restored.returncode == 0, restored.stderr
    shown = run("sending", "show", "--database", "again.db", cwd=tmp_path)
    assert "reconciling" in shown.stdout
    wrong = run("verify", "--anchor", "copy.db", cwd=tmp_path)
    assert wrong.returncode == 2
