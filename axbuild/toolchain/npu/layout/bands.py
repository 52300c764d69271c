"""A chain of operators depth first: each band of the last output is made before the next one is begun.

What passes between the operators is never whole: a window of each map is on chip, and moves on band by band. Halos are
kept, not computed again, so every element is computed once, and what spills when operators run one after another never
leaves the chip.
"""

from __future__ import annotations

from axbuild.toolchain.kinds.base import Box
from axbuild.toolchain.npu.layout.choices import OpChain
from axbuild.toolchain.npu.layout.constants import served
from axbuild.toolchain.npu.layout.draft import Storage
from axbuild.toolchain.npu.layout.moves import evict, load_name, store_output
from axbuild.toolchain.npu.layout.rolling import Rolling, window_bytes
from axbuild.toolchain.npu.layout.state import LayoutState
from axbuild.toolchain.npu.layout.task import Task, parts_of, task_of, write_part
from axbuild.toolchain.npu.layout.tracks import Track, tracks
from axbuild.toolchain.npu.lower.packing import aligned

BANDS = (2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128)
"""how many bands a chain may run in; fewer move less on chip"""


def run_chain(state: LayoutState, chain: OpChain) -> BandRun | None:
    """Writes the operators of a chain down; None, and nothing is, where its windows do not fit on chip."""
    run = BandRun(state, chain)
    if not run.fit():
        return None
    run.write()
    return run


class BandRun:
    """One chain in the making. sources: what it reads and does not make; results: what is read of it later."""

    def __init__(self, state: LayoutState, chain: OpChain) -> None:
        self.state = state
        self.memory = state.memory
        self.axis = chain.axis
        self.tasks = [task_of(state, n, state.net.ops[n]) for n in range(chain.start, chain.stop)]
        made = [task.op.output for task in self.tasks]
        self.sources = list(dict.fromkeys(n for task in self.tasks for n in task.op.inputs if n not in made))
        self.results = [name for name in made if state.read_after(name, chain.stop) or name in state.outputs]
        self.places = {name: state.places[name] for name in self.sources}
        self.places |= {name: state.new_place(name) for name in made}
        self.tracks: dict[str, Track] = {}
        self.windows: dict[str, Rolling] = {}

    @property
    def is_banded(self) -> bool:
        """Whether no operator has made all of its output in the first band, because the next one needs all of it."""
        tracks = [self.tracks[task.op.output] for task in self.tasks]
        return all(track.upto[0] < track.upto[-1] for track in tracks)

    # Room -----------------------------------------------------------------------------------------------------

    def fit(self) -> bool:
        """Room for all windows, in few bands: results whole beside them, else off chip, else other maps go there."""
        whole = [self.places[name].home for name in self.results if self._read_later(name)]
        near = [home for home in whole if self.memory.take_near(home)]
        if self._windows():
            return True
        for home in near:
            self.memory.drop_near(home)
        keep = {id(self.places[name].home) for name in self.sources}
        while not self._windows():
            victim = self.memory.victim(keep)
            if victim is None:
                return False
            evict(self.state, victim, self.tasks[0])
        return True

    def _read_later(self, name: str) -> bool:
        return self.state.read_after(name, self.tasks[-1].position + 1)

    def _windows(self) -> bool:
        """Room for a window of each tensor that is not on chip, in as few bands as they fit in."""
        size = self.tasks[-1].whole.shape[self.axis]
        for count in (count for count in BANDS if count <= size):
            self.tracks = tracks(self.tasks, self.axis, count)
            if self._take(2) or self._take(1):
                return True
        return False

    def _take(self, slack: int) -> bool:
        """Windows of `slack` times what is needed at once."""
        wanted = {}
        for name, place in self.places.items():
            if place.home.near is None:
                if name not in self.tracks or (slack == 1 and not self.tracks[name].slides):
                    return False
                wanted[name] = min(slack * self.tracks[name].extent, place.shape[self.axis])
        room = self.memory.maps.free()
        if sum(aligned(window_bytes(self.places[name], self.axis, wanted[name])) for name in wanted) > room:
            return False
        for name, extent in wanted.items():
            place = self.places[name]
            begin = self.memory.maps.take(window_bytes(place, self.axis, extent))
            if begin is None:
                self._give_back()
                return False
            self.windows[name] = Rolling(place, self.axis, extent, begin)
        return True

    def _give_back(self) -> None:
        for window in self.windows.values():
            self.memory.maps.give_back(window.begin)
        self.windows = {}

    # Jobs -----------------------------------------------------------------------------------------------------

    def write(self) -> None:
        state = self.state
        for task in self.tasks:
            state.settle(task.op.output, self.places[task.op.output])
        for name in self.results:
            home = self.places[name].home
            if home.near is None and self._read_later(name):
                self.memory.take_far(home)
        for band in range(len(self.tracks[self.tasks[-1].op.output].upto)):
            for task in self.tasks:
                self._band(task, band)
        self._give_back()
        for task in self.tasks:
            for piece in task.pieces:
                if piece is not None:
                    state.prefetcher.done(piece)
            place = self.places[task.op.output]
            if task.op.output in state.outputs and place.home.near is not None:
                store_output(state, place, task.op.output, task.position, task.op.name)
            state.release_unread(place.home)
        for task in self.tasks:
            for name in task.op.inputs:
                state.read_once(name)

    def _band(self, task: Task, band: int) -> None:
        """What one operator does in one band."""
        for name in task.op.inputs:
            if name in self.sources and name in self.windows:
                self._load(task, name, band)
        out = self.places[task.op.output]
        target = self._reach(task, task.op.output, band)
        sources = [self._storage(name) for name in task.op.inputs]
        box = self._new(task.op.output, band)
        for piece in task.pieces:
            for part in parts_of(self.state, task, served(piece, box)):
                write_part(self.state, task, part, sources, target, out, piece)
        if task.op.output in self.windows and box.elements:
            self._store(task, target, box)

    def _storage(self, name: str) -> Storage | None:
        return self.windows[name].storage if name in self.windows else self.places[name].near()

    def _new(self, name: str, band: int) -> Box:
        """What a band adds to a tensor."""
        upto = self.tracks[name].upto
        return self.places[name].box().along(self.axis, upto[band - 1] if band else 0, upto[band])

    def _reach(self, task: Task, name: str, band: int) -> Storage:
        """Where a band's part of a tensor goes; what is still needed of it moves along."""
        window, track = self.windows.get(name), self.tracks[name]
        if window is None:
            near = self.places[name].near()
            assert near is not None, "what has no window is on chip"
            return near
        moved = window.reach(track.low[band], track.upto[band])
        if moved and moved[1].elements:
            self.state.writer.move(moved[0], window.storage, moved[1], task.position, task.op.name)
        return window.storage

    def _load(self, task: Task, name: str, band: int) -> None:
        box, far = self._new(name, band), self.places[name].far()
        if self.windows[name].filled < self.tracks[name].upto[band]:
            assert far is not None, "a tensor off chip has a far copy"
            target = self._reach(task, name, band)
            self.state.writer.copy(far, target, box, load_name(far), task.position, task.op.name)

    def _store(self, task: Task, source: Storage, box: Box) -> None:
        name = task.op.output
        far = self.places[name].far()
        if far is not None:
            self.state.writer.copy(source, far, box, "st:ddr_swap", task.position, task.op.name)
        if name in self.state.outputs:
            self.state.writer.copy(source, self.state.outputs[name], box, "st:output", task.position, task.op.name)
