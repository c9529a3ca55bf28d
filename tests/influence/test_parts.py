"""Parts that run side by side: in order, one thread per operation, and PyTorch's number of threads afterwards."""

import threading

import pytest
import torch

from rareneurons.influence.parts import side_by_side, threads_for
from rareneurons.influence.tiles import tiles_of


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("n_threads", [1, 3])
def test_results_come_in_the_order_of_the_parts(two_threads, n_threads):
    with side_by_side(n_threads) as in_order:
        assert list(in_order(lambda part: part.start, tiles_of(20, 3))) == [0, 3, 6, 9, 12, 15, 18]
    assert torch.get_num_threads() == 2


def test_parts_run_at_the_same_time_and_operations_on_one_thread(two_threads):
    met = threading.Barrier(2, timeout=30)

    def work(_part: slice) -> tuple[int, int, bool]:
        met.wait()  # passes only if two parts run at once
        return torch.get_num_threads(), threading.get_ident(), torch.is_inference_mode_enabled()

    with side_by_side(2) as in_order, torch.inference_mode():
        found = list(in_order(work, tiles_of(4, 1)))
    assert {threads for threads, _, _ in found} == {1}
    assert len({thread for _, thread, _ in found}) == 2
    assert all(inference for _, _, inference in found)
    assert threads_for(torch.device("cpu")) == 2


def test_an_error_reaches_the_caller_and_the_number_of_threads_comes_back(two_threads):
    def work(part: slice) -> None:
        if part.start == 2:
            raise ValueError("part 2")

    with pytest.raises(ValueError, match="part 2"), side_by_side(2) as in_order:
        list(in_order(work, tiles_of(5, 1)))
    assert torch.get_num_threads() == 2


def test_few_parts_are_taken_before_their_turn(two_threads):
    taken = []

    def parts():
        for part in tiles_of(20, 1):
            taken.append(part)
            yield part

    with side_by_side(2) as in_order:
        next(in_order(lambda part: part.start, parts()))
        assert len(taken) == 3
