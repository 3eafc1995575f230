"""Goals: say what done looks like; a plan is made backwards, done on all lanes at once, and made anew around failures.

    desk = Desk(router, SqliteStore(path))
    await desk.start()
    record = await desk.add(Goal("a page on tides", checks=(Check("question", "Is it free of formulas?"),)))

README.md beside this file says how; the names here are the room's public ones.
"""

from .actions import Action, Doing, Library, register, register_check
from .asking import StepFailed
from .desk import Desk
from .goal import ANSWERED, CHECK, Allowance, Check, Goal, InvalidGoal, check_of
from .record import BEGUN, ENDS, OFFERED, PLANNED, REACHED, STOPPED, UNREACHABLE, WORKING, Record, Step
from .standing import STANDING, Material, Standing, latest, read_standing, tend
from .store import GoalStore, MemoryStore, NotKept, SqliteStore
from .telling import explained, price, state_of

__all__ = [
    "ANSWERED",
    "BEGUN",
    "CHECK",
    "ENDS",
    "OFFERED",
    "PLANNED",
    "REACHED",
    "STANDING",
    "STOPPED",
    "UNREACHABLE",
    "WORKING",
    "Action",
    "Allowance",
    "Check",
    "Desk",
    "Doing",
    "Goal",
    "GoalStore",
    "InvalidGoal",
    "Library",
    "Material",
    "MemoryStore",
    "NotKept",
    "Record",
    "SqliteStore",
    "Standing",
    "Step",
    "StepFailed",
    "check_of",
    "explained",
    "latest",
    "price",
    "read_standing",
    "register",
    "register_check",
    "state_of",
    "tend",
]
