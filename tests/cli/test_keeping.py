"""The commands that keep a book: keys, the switch, copies and anchors."""

import re
from pathlib import Path

from tallybook.db.engine import open_database
from tallybook.db.migrate import run_migrations
from tests.cli.programs import begin_book, run, serve


def test_a_key_is_made_used_replaced_and_revoked(tmp_path: Path) -> None:
    begin_book(tmp_path)
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
    twin = run("keys", "create", "till", "--scope", "operate", cwd=tmp_path)
    assert (twin.returncode, "tallybook keys rotate key_" in twin.stderr) == (3, True)
    after = run("keys", "rotate", ident[0], cwd=tmp_path)
    assert (after.returncode, "has ended, and stays so" in after.stdout) == (0, True)
    other = run("keys", "create", "till", "--new-client", cwd=tmp_path)
    assert other.returncode == 0, other.stderr
    refused = run("keys", "revoke", "key_nonsense", cwd=tmp_path)
    assert (refused.returncode, "api_key_not_found" in refused.stderr) == (3, True)


def test_with_a_key_other_addresses_may_be_served(tmp_path: Path) -> None:
    begin_book(tmp_path)
    assert run("keys", "create", "dashboard", cwd=tmp_path).returncode == 0
    # 127.0.0.2 would do without a key; that all addresses are listened at shows in what it says.
    with serve("--host", "0.0.0.0", cwd=tmp_path, said_host="0.0.0.0") as server:
        assert server.ask("GET", "/api/v1/customers")[0] == 401


def test_sending_is_stopped_shown_and_started(tmp_path: Path) -> None:
    begin_book(tmp_path)
    assert "open" in run("sending", "show", cwd=tmp_path).stdout
    stopped = run("sending", "stop", "--reason", "a drill", "--by", "ann", cwd=tmp_path)
    assert stopped.returncode == 0
    assert "stopped, by ann" in stopped.stdout
    assert "a drill" in run("sending", "show", cwd=tmp_path).stdout
    assert "open, by" in run("sending", "start", "--reason", "done", cwd=tmp_path).stdout
    held = run("sending", "hold", "--reason", "pg_restore", cwd=tmp_path)
    assert "reconciling" in held.stdout
    wider = ["--reason", "it was used since", "--lost-from", "2026-03-01"]
    assert "from 2026-03-01 to" in run("sending", "hold", *wider, cwd=tmp_path).stdout
    (tmp_path / "billing-data" / "anchor.jsonl").write_text("half a li")
    unread = run("sending", "show", cwd=tmp_path)
    assert (unread.returncode, "can't be read as a file of anchors" in unread.stdout) == (0, True)


def test_what_no_list_can_show_is_refused(tmp_path: Path) -> None:
    begin_book(tmp_path)
    for command in (
        ["sending", "stop", "--reason", ""],
        ["sending", "stop", "--reason", "x" * 100_000],
        ["sending", "stop", "--reason", "\x1b[2Jgone", "--by", "ann"],
        ["sending", "start", "--reason", "done", "--by", " "],
        ["sending", "hold", "--reason", ""],
        ["keys", "create", ""],
        ["keys", "create", "a\nb"],
        ["keys", "create", "x" * 101],
    ):
        refused = run(*command, cwd=tmp_path)
        assert (refused.returncode, "(field_invalid)" in refused.stderr) == (3, True), command
    assert "nobody has ever stopped it" in run("sending", "show", cwd=tmp_path).stdout
    assert "There is no key" in run("keys", "list", cwd=tmp_path).stdout
    shown = run("sending", "stop", "--reason", " wrong\namounts ", cwd=tmp_path).stdout
    assert shown.endswith(": wrong amounts\n")


def test_a_book_is_copied_anchored_and_brought_back(tmp_path: Path) -> None:
    assert run("backup", "copy.db", cwd=tmp_path).returncode == 2, "there is no book yet"
    assert not (tmp_path / "billing.db").exists()
    begin_book(tmp_path)
    assert run("keys", "create", "till", cwd=tmp_path).returncode == 0
    copied = run("backup", "copy.db", cwd=tmp_path)
    assert copied.returncode == 0, copied.stderr
    assert "The key is not in it" in copied.stdout
    assert run("anchor", "anchors.jsonl", cwd=tmp_path).returncode == 0
    verified = run("verify", "--anchor", "anchors.jsonl", cwd=tmp_path)
    assert (verified.returncode, "1 anchors" in verified.stdout) == (0, True)
    assert "and the reports as they came and" in verified.stdout
    (tmp_path / "billing-data" / "master.key").rename(tmp_path / "kept.key")
    without = run("verify", cwd=tmp_path)
    assert (without.returncode, "There is no key at" in without.stdout) == (0, True)
    (tmp_path / "kept.key").rename(tmp_path / "billing-data" / "master.key")
    refused = run("restore", "copy.db", cwd=tmp_path)
    assert (refused.returncode, "not overwritten" in refused.stderr) == (3, True)
    restored = run("restore", "copy.db", "--database", "again.db", cwd=tmp_path)
    assert restored.returncode == 0, restored.stderr
    shown = run("sending", "show", "--database", "again.db", cwd=tmp_path)
    assert "reconciling" in shown.stdout
    wrong = run("verify", "--anchor", "copy.db", cwd=tmp_path)
    assert wrong.returncode == 2
    with (tmp_path / "anchors.jsonl").open("a") as anchors:
        anchors.write('{"book": "12')
    half = run("verify", "--anchor", "anchors.jsonl", cwd=tmp_path)
    assert (half.returncode, "Line 2 of" in half.stdout, "1 anchors" in half.stdout) == (
        0,
        True,
        True,
    )


def test_a_copy_can_be_brought_back_from_where_nothing_can_be_written(tmp_path: Path) -> None:
    """A write-protected disk takes no -wal and -shm beside the copy, and none are left on another.

    The tests may run as one who may write anywhere, so the copy is looked at instead of the disk.
    """
    begin_book(tmp_path)
    (tmp_path / "away").mkdir()
    assert run("backup", "away/copy.db", cwd=tmp_path).returncode == 0
    copy = tmp_path / "away" / "copy.db"
    assert copy.read_bytes()[18:20] == b"\1\1", "it says of itself that it has no log beside it"
    assert run("verify", "--database", "away/copy.db", cwd=tmp_path).returncode == 0
    as_before = copy.read_bytes().replace(b"\1\1", b"\2\2", 1)  # as older versions left copies
    assert as_before[18:20] == b"\2\2"
    copy.write_bytes(as_before)
    restored = run("restore", "away/copy.db", "--database", "Again.db", cwd=tmp_path)
    assert restored.returncode == 0, restored.stderr
    assert [path.name for path in copy.parent.iterdir()] == ["copy.db"]
    assert run("verify", "--database", "Again.db", cwd=tmp_path).returncode == 0


def test_a_files_name_is_told_as_it_is_written(tmp_path: Path) -> None:
    begin_book(tmp_path)
    (tmp_path / "copy.db").touch()
    (tmp_path / "Anchor-OFF-SITE.jsonl").touch()
    for command, name in (
        (["backup", "copy.db"], "copy.db is there already"),
        (["restore", "gone.db", "--database", "other.db"], "gone.db is not there"),
        (["verify", "--anchor", "Anchor-OFF-SITE.jsonl"], "Anchor-OFF-SITE.jsonl holds no anchor"),
    ):
        told = run(*command, cwd=tmp_path).stderr
        assert f" {name}" in told
        assert told[len("tallybook: ")].isupper()


def test_a_copy_of_an_older_version_is_not_called_verified(tmp_path: Path) -> None:
    older = open_database(f"sqlite:///{tmp_path / 'older.db'}")
    run_migrations(older, to="0005")
    older.close()
    restored = run("restore", "older.db", cwd=tmp_path)
    assert restored.returncode == 0, restored.stderr
    assert "of version 0005: it could not be verified before" in restored.stdout
    assert run("verify", cwd=tmp_path).returncode == 0


def test_a_lost_key_that_sealed_no_account_number_is_replaced_by_command(tmp_path: Path) -> None:
    begin_book(tmp_path)
    assert run("run-day", cwd=tmp_path).returncode == 0
    (tmp_path / "billing-data" / "master.key").unlink()
    refused = run("run-day", cwd=tmp_path)
    assert (refused.returncode, "tallybook db forget-key" in refused.stderr) == (4, True)
    assert not (tmp_path / "billing-data" / "master.key").exists()
    assert run("db", "forget-key", "--database", "none.db", cwd=tmp_path).returncode == 2
    assert run("db", "forget-key", cwd=tmp_path).returncode == 0
    assert run("run-day", cwd=tmp_path).returncode == 0


def test_a_copy_may_have_any_name(tmp_path: Path) -> None:
    begin_book(tmp_path)
    for name in ("b%20.db", "a?b.db"):
        copied = run("backup", name, cwd=tmp_path)
        assert copied.returncode == 0, copied.stderr
        restored = run("restore", name, "--database", f"back {name}", cwd=tmp_path)
        assert restored.returncode == 0, restored.stderr
        assert (tmp_path / f"back {name}").is_file()
        assert run("verify", "--database", f"back {name}", cwd=tmp_path).returncode == 0
