"""Find the ghost in what a store held at one moment."""

from refimpl.classroom.checking.cases import Answer

A_USER = "that is a user; a user may have other connections that live. Give the id of a connection"

GHOST = Answer(
    "ghost",
    points=2,
    rule="a connection id is node.epoch.tail, and lives with that epoch of that node",
    hints=(
        "Each connection id names a node and one life of it. Compare it with what the store holds "
        "of that node.",
        "{node:node-1} says epoch 1796001220163, so the ids of this life begin with "
        "node-1.1796001220163. The number may be that of another node too: compare both parts.",
        "1. Write down the epoch of each node, and whether its until is later than TIME.\n"
        "2. Take the members one by one. Is the lease of its node good? Is the epoch the one that "
        "the node has now?\n"
        "3. One of the members fails.",
    ),
    accepts="node-2.1796001220163.537984b6cc64",
    kind=str,
    mistakes={
        "node-2": "node-2 lives: it was started again. Give the id of a connection",
        "node-3": "the lease of node-3 has not ended yet. Give the id of a connection",
        "node-2.1796001231375.bf43cabd4dd3": "its epoch is the one that node-2 has now: Ben lives",
        "node-3.1796001220161.84809528dd1e": "the lease of node-3 ends soon, and not yet: compare "
        "until with TIME",
        "node-1.1796001220163.a0558fae0a05": "node-1 holds its lease, in the same epoch",
        "node-1.1796001220163.5fe86ee5424b": "node-1 holds its lease, in the same epoch; a user "
        "may have two tabs",
        **dict.fromkeys(("ada", "ben", "cleo", "dora"), A_USER),
    },
    otherwise="give the id of one member, to the letter as in {room:harbour}:members",
)
