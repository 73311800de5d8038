"""Tables of plans, rows and runs."""

from __future__ import annotations

from sqlalchemy import (
    CHAR,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Integer,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from tallybook.collection.model import Installment, InstallmentState, Job, Plan, Run
from tallybook.db.metadata import METADATA, MINOR, HexId, Instant, partial_index
from tallybook.db.tables import RowMap
from tallybook.writer.model import Index, Shelf

PLANS_TABLE = Table(
    "plans",
    METADATA,
    Column("subject_id", HexId, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column(
        "customer_id",
        HexId,
        ForeignKey("customers.id", name="plans_customer_id_fkey"),
        nullable=False,
    ),
    Column(
        "bank_account_id",
        HexId,
        ForeignKey("bank_accounts.id", name="plans_bank_account_id_fkey"),
        nullable=False,
    ),
    Column("currency", CHAR(3), nullable=False),
    Column("status", String(16), nullable=False),
    Column("total_minor", MINOR, nullable=False),
    Column("succeeded_minor", MINOR, nullable=False),
    Column("in_flight_minor", MINOR, nullable=False),
    Column("held_minor", MINOR, nullable=False),
    Column("unsent_minor", MINOR, nullable=False),
    Column("claimed_minor", MINOR, nullable=False),
    Column("excess_minor", MINOR, nullable=False),
    Column("rows_count", Integer, nullable=False),
    Column("last_due_on", Date, nullable=False),
    Column("first_due_on", Date, nullable=False),
    Column("interval_days", Integer, nullable=False),
    Column("on_failed_debit", String(16), nullable=False),
    Column("max_attempts", Integer, nullable=False),
    Column("hold_days", Integer, nullable=False),
    Column("interval_months", Integer, nullable=False, server_default=text("0")),
    Column("anchor_on", Date),
    CheckConstraint("total_minor >= 0", name="total_minor_positive"),
    CheckConstraint("succeeded_minor >= 0", name="succeeded_minor_positive"),
    CheckConstraint("in_flight_minor >= 0", name="in_flight_minor_positive"),
    CheckConstraint("held_minor >= 0", name="held_minor_positive"),
    CheckConstraint("unsent_minor >= 0", name="unsent_minor_positive"),
    CheckConstraint("excess_minor >= 0", name="excess_minor_positive"),
    CheckConstraint(
        "claimed_minor = succeeded_minor + in_flight_minor + held_minor", name="claimed_minor_sum"
    ),
    # Never more than is owed; late news may overshoot, and is then written down as excess.
    CheckConstraint("claimed_minor - excess_minor <= total_minor", name="claimed_minor_owed"),
    CheckConstraint("status IN ('pending', 'active', 'paused', 'closed')", name="status_known"),
    partial_index(
        "plans_customer_id_owing_index", "customer_id", where="succeeded_minor < total_minor"
    ),
)

INSTALLMENTS_TABLE = Table(
    "installments",
    METADATA,
    Column("id", HexId, primary_key=True),
    Column(
        "subject_id",
        HexId,
        ForeignKey("plans.subject_id", name="installments_subject_id_fkey"),
        nullable=False,
    ),
    Column("number", Integer, nullable=False),
    Column("due_on", Date, nullable=False),
    Column("amount_minor", MINOR, nullable=False),
    Column("state", String(16), nullable=False),
    Column("replaces", Integer),
    Column("attempt", SmallInteger, nullable=False),
    UniqueConstraint("subject_id", "number", name="installments_subject_id_number_unique"),
    CheckConstraint("amount_minor > 0", name="amount_minor_positive"),
    CheckConstraint("state IN ('planned', 'waiting', 'sent', 'cancelled')", name="state_known"),
    partial_index("installments_due_on_planned_index", "due_on", where="state = 'planned'"),
)

RUNS_TABLE = Table(
    "runs",
    METADATA,
    Column("job", String(16), primary_key=True),
    Column("business_date", Date, primary_key=True),
    Column("state", String(16), nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("finished_at", Instant),
    Column("summary", Text, nullable=False),
    CheckConstraint("state IN ('running', 'finished')", name="state_known"),
)

JOBS_TABLE = Table(
    "jobs",
    METADATA,
    Column("name", String(16), primary_key=True),
    Column("last_finished_on", Date),
    Column("running_on", Date),
    Column("holder", String(200), nullable=False),
    Column("lease_until", Instant, nullable=False),
)

JOBS = Shelf(RowMap(JOBS_TABLE, Job, key=("name",)), rank=4)
RUNS = Shelf(RowMap(RUNS_TABLE, Run, key=("job", "business_date")), rank=5)
PLANS = Shelf(
    RowMap(PLANS_TABLE, Plan, key=("subject_id",)),
    rank=40,
    follows=(
        "succeeded_minor",
        "in_flight_minor",
        "held_minor",
        "unsent_minor",
        "claimed_minor",
        "excess_minor",
        "rows_count",
    ),
)
INSTALLMENTS = Shelf(
    RowMap(INSTALLMENTS_TABLE, Installment, key=("id",)),
    rank=43,
    guards=(("plans", "subject_id"),),
)

_UNSENT = (InstallmentState.PLANNED, InstallmentState.WAITING)
UNSENT_OF = Index(
    INSTALLMENTS,
    ("subject_id",),
    where="state IN ('planned', 'waiting')",
    matches=lambda row: row.state in _UNSENT,
)
INSTALLMENTS_OF = Index(INSTALLMENTS, ("subject_id",))
"""All rows of a plan, for a person who rules on it; a run reads only the unsent ones."""
INSTALLMENT_BY_ID = Index(INSTALLMENTS, ("id",))
"""For reading one row under its plan's lock."""
OWING_PLANS_OF = Index(
    PLANS,
    ("customer_id",),
    where="succeeded_minor < total_minor",
    matches=lambda plan: plan.succeeded_minor < plan.total_minor,
)
