"""Parts of a computation side by side on a processor's cores, each part on one core from beginning to end.

PyTorch cuts every operation into one piece per thread, and the threads wait for one another after each of them. If
another process uses one of the cores, many of these waits last until the scheduler gives that core back, and the
threads that wait use up the others. Here each thread finishes its part without waiting for another.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import torch

# Applies a function to slices, several at a time, and yields the results in the slices' order. At most one slice more
# than there are threads is taken before its turn.
InOrder = Callable[[Callable[[slice], Any], Iterable[slice]], Iterator[Any]]


def threads_for(device: torch.device) -> int:
    """How many parts run side by side: PyTorch's number of threads on a processor, 1 on an accelerator."""
    return torch.get_num_threads() if device.type == "cpu" else 1


@contextmanager
def side_by_side(n_threads: int) -> Iterator[InOrder]:
    """While active, PyTorch itself uses one thread per operation, and parts run in ``n_threads`` threads.

    Args:
        n_threads: how many parts run at a time; 1 runs them one after the other and leaves PyTorch's threads alone.
    """
    if n_threads == 1:
        yield map
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # threads that start later take this number over
    try:
        with ThreadPoolExecutor(n_threads) as pool:

            def in_order(work: Callable[[slice], Any], parts: Iterable[slice]) -> Iterator[Any]:
                inference = torch.is_inference_mode_enabled()  # each thread has a mode of its own

                def alone(part: slice) -> Any:
                    with torch.inference_mode(inference):
                        return work(part)

                running: deque[Future] = deque()
                for part in parts:
                    running.append(pool.submit(alone, part))
                    if len(running) > n_threads:
                        yield running.popleft().result()
                while running:
                    yield running.popleft().result()

            yield in_order
    finally:
        torch.set_num_threads(before)
