"""Whether a test goes through its data once: `test_iter` times the batch against the number of items."""

from __future__ import annotations

from ...fixes.fields import set_field
from ...net.job import SolverFile
from ...rule.finding import Hit


def judge_pass(solver: SolverFile, test: int, items: int, batch: int, name: str) -> Hit | None:
    """The finding on the `test_iter` of the test net of that index, None where it fits; `name` is that of the data.

    One batch more or less than all is fine where the items do not come out even.
    """
    written = solver.message["test_iter"]
    if test >= len(written) or items <= 0 or batch <= 0:
        return None
    wanted = -(-items // batch)
    has = written[test]
    if has in (wanted, max(1, items // batch)):
        return None
    message = f"test_iter {has} x batch {batch} = {has * batch}, but {name} has {items} items"
    reason = "A part is left out each time." if has < wanted else "Some items count twice."
    fix = None
    if len(written) == 1:
        patch = set_field(solver.file.tree, solver.message, "test_iter", wanted)
        fix = patch.fix(solver.file.path, f"write test_iter: {wanted}")
    return Hit(solver.file, solver.message.span("test_iter", test), message, reason, fix=fix)
