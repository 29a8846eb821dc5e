"""Who is present at a time, from a log of renewals."""

from refimpl.classroom.checking.cases import Case, Exercise, call

ADA = [("ada", "node-1", 1)]
BEN = [("ben", "node-2", 1)]
NEWEST = "a node has one life at a time: the one with the highest epoch that has begun by then"

LIVES = (
    Case(
        "a node that renews", call(20, [(0, "node-1", 1), (10, "node-1", 1)], ADA), expect=["ada"]
    ),
    Case(
        "a node that never renewed",
        call(5, [(0, "node-1", 1)], [("ada", "node-9", 1)]),
        expect=[],
        why="no renewal, no lease",
    ),
    Case(
        "a node that was killed",
        call(30, [(0, "node-1", 1), (25, "node-1", 1), (10, "node-2", 1)], ADA + BEN),
        expect=["ada"],
        why="node-2 renewed last at 10, so its lease was over at 25: without leases Ben is a ghost",
    ),
    Case(
        "the last moment of a lease",
        call(25, [(10, "node-1", 1)], ADA),
        expect=["ada"],
        why="15 seconds after a renewal the lease still holds",
    ),
    Case(
        "a moment later",
        call(25.001, [(10, "node-1", 1)], ADA),
        expect=[],
        why="more than 15 seconds after the last renewal it does not hold",
    ),
    Case(
        "a renewal at this very moment",
        call(10, [(10, "node-1", 1)], ADA),
        expect=["ada"],
        why="a renewal at now has happened",
    ),
    Case(
        "a renewal that is not made yet",
        call(30, [(0, "node-1", 1), (40, "node-1", 1)], ADA),
        expect=[],
        why="the question is about the time `now`: what happens later is not known then",
    ),
    Case(
        "a log that is not in order",
        call(20, [(15, "node-1", 1), (0, "node-1", 1)], ADA),
        expect=["ada"],
        why="the log comes from many nodes, in no order: take the latest, not the last",
    ),
)

EPOCHS = (
    Case(
        "a connection of a life before",
        call(12, [(5, "node-1", 2)], ADA),
        expect=[],
        why="node-1 is in its life 2, and the connection is of life 1",
    ),
    Case(
        "a node that was started again",
        call(
            12, [(0, "node-1", 1), (5, "node-1", 2)], [("ada", "node-1", 1), ("ben", "node-1", 2)]
        ),
        expect=["ben"],
        why=f"{NEWEST}; Ada's connection was of the life before",
    ),
    Case(
        "a paused node that wakes up",
        call(32, [(0, "node-1", 1), (20, "node-1", 2), (30, "node-1", 1)], [*ADA, *BEN]),
        expect=[],
        why=f"{NEWEST}; epoch 1 renews at 30, too late: it is fenced",
    ),
    Case(
        "a paused node, and the new life goes on",
        call(
            40,
            [(20, "node-1", 2), (30, "node-1", 1), (38, "node-1", 2)],
            [("ada", "node-1", 1), ("ben", "node-1", 2)],
        ),
        expect=["ben"],
        why=NEWEST,
    ),
    Case(
        "a late renewal of the old life",
        call(40, [(20, "node-1", 2), (39, "node-1", 1)], [("ben", "node-1", 2)]),
        expect=[],
        why="the renewal at 39 is of epoch 1: it does not keep epoch 2 alive",
    ),
    Case(
        "an old life behind a new one that is over",
        call(40, [(20, "node-1", 2), (30, "node-1", 1)], ADA),
        expect=[],
        why="epoch 2 has begun, and its lease is over; that does not bring epoch 1 back",
    ),
    Case(
        "an epoch that comes later",
        call(12, [(5, "node-1", 1), (20, "node-1", 2)], ADA),
        expect=["ada"],
        why="at 12 epoch 2 has not begun",
    ),
    Case(
        "two epochs in one second",
        call(12, [(5, "node-1", 2), (5, "node-1", 1)], [("ben", "node-1", 2)]),
        expect=["ben"],
        why=NEWEST,
    ),
)

PEOPLE = (
    Case(
        "two tabs of one user",
        call(
            5,
            [(0, "node-1", 1), (0, "node-2", 1)],
            [("ben", "node-2", 1), *ADA, ("ada", "node-2", 1)],
        ),
        expect=["ada", "ben"],
        why="a list of users, each once, in alphabetical order",
    ),
    Case(
        "one tab of two is left",
        call(20, [(0, "node-1", 1), (10, "node-2", 1)], [*ADA, ("ada", "node-2", 1)]),
        expect=["ada"],
        why="who has one connection on a node that lives is present",
    ),
    Case("nobody", call(5, [], []), expect=[]),
)

PRESENT_AT = Exercise(
    "present_at",
    points=2,
    rule="a connection lives as long as the lease of its node's life",
    hints=(
        "First find out, for each node, which life it is in at that time, and when that life "
        "renewed last. Only then look at the connections.",
        "Renewals (0, node-1, 1) and (5, node-1, 2), asked for 12: node-1 is in life 2, renewed at "
        "5, so it holds until 20. A connection of epoch 1 is dead at 12, although 0 + 15 is 15.",
        "1. Leave out all renewals later than now.\n"
        "2. For each node keep the largest pair (epoch, time).\n"
        "3. A node lives if now is at most that time + 15.\n"
        "4. Collect the users of the connections whose node lives in their epoch, in a set.\n"
        "5. Return it sorted.",
    ),
    cases=(*LIVES, *EPOCHS, *PEOPLE),
)
