"""Whether one test reads all its data once: `test_iter` times the batch size against the number of items."""

from __future__ import annotations

from ...fixes.fields import set_field
from ...net.job import SolverFile
from ...rule.finding import Hit
from ...source.wording import counted


def judge_pass(solver: SolverFile, test: int, items: int, batch: int, name: str) -> Hit | None:
    """Return the finding on the `test_iter` of a test net, None if it matches; `name` is that of the data in messages.

    If the batch size does not divide the number of items, the number of batches may be rounded up or down.
    """
    written = solver.message["test_iter"]
    if test >= len(written) or items <= 0 or batch <= 0:
        return None
    wanted = -(-items // batch)
    has = written[test]
    if has in (wanted, max(1, items // batch)):
        return None
    message = f"test_iter {has} x batch {batch} = {has * batch}, but {name} has {counted(items, 'item')}"
    reason = "Each test leaves out some items." if has < wanted else "Each test counts some items twice."
    fix = None
    if len(written) == 1:
        patch = set_field(solver.file.tree, solver.message, "test_iter", wanted)
        fix = patch.fix(solver.file.path, f"set test_iter to {wanted}", safe=False)
    return Hit(solver.file, solver.message.span("test_iter", test), message, reason, fix=fix)
