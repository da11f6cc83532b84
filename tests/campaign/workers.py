"""Three workers, of which one is killed, late, stopped, or another program."""

import os
import signal
import socket
import time
from functools import partial

from cases import TRAIN, Forked, command, vectors_of, write_corpus

NUMBER = 3
WAIT = 40  # seconds for workers to meet


def cases(plan):
    rng = plan.random()

    def addresses():
        sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(NUMBER)]
        found = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
        for each in sockets:
            each.close()
        return found

    def start(folder, where, index, wait=WAIT):
        cluster = f"--workers {','.join(where)} --index {index} --wait {wait}"
        return Forked(
            partial(command, *f"{TRAIN} --epochs 30 --checkpoint state {cluster}".split()),
            folder,
        )

    def all_of_them(folder):
        where = addresses()
        ended = [each.wait() for each in [start(folder, where, i) for i in range(NUMBER)]]
        assert [each.code for each in ended] == [0] * NUMBER, ended[0].output[-300:]
        return vectors_of(folder)

    def new_folder():
        folder = plan.new_folder()
        write_corpus(folder)
        return folder

    begun = time.monotonic()
    undisturbed = all_of_them(new_folder())
    duration = time.monotonic() - begun

    def lost(number, index, seconds):
        """One gets a signal; the others say so in one sentence, and all of them go on together."""
        folder, where = new_folder(), addresses()
        processes = [start(folder, where, i) for i in range(NUMBER)]
        time.sleep(seconds)
        processes[index].kill(number)
        others = [each for i, each in enumerate(processes) if i != index]
        try:
            ended = [each.wait(WAIT + 30) for each in others]
        finally:
            processes[index].kill()
            processes[index].wait()
        for each in ended:
            told = [line for line in each.output.splitlines() if line.startswith("kerasw2v: ")]
            assert each.code == 0 or (each.code == 1 and len(told) == 1), each.output[-400:]
        assert vectors_of(folder) in (None, undisturbed)
        assert all_of_them(folder) == undisturbed, "the vectors differ after going on"

    def late(index):
        folder, where = new_folder(), addresses()
        processes = [start(folder, where, i) for i in range(NUMBER) if i != index]
        time.sleep(3)
        processes.append(start(folder, where, index))
        assert [each.wait().code for each in processes] == [0] * NUMBER
        assert vectors_of(folder) == undisturbed

    def missing(index):
        folder, where = new_folder(), addresses()
        processes = [start(folder, where, i, wait=3) for i in range(NUMBER) if i != index]
        for ended in [each.wait(30) for each in processes]:
            assert f"did not hear from {where[index]}." in ended.sentence()

    def foreign(index):
        folder, where = new_folder(), addresses()
        with socket.create_server(("127.0.0.1", int(where[index].split(":")[1]))):
            processes = [start(folder, where, i, wait=5) for i in range(NUMBER) if i != index]
            for ended in [each.wait(30) for each in processes]:
                assert f"did not hear from {where[index]} (another program" in ended.sentence()
        assert not os.path.exists(folder / "v.kv")

    for index in range(plan.number(1, NUMBER)):
        yield f"worker {index} is late", partial(late, index)
        yield f"worker {index} is missing", partial(missing, index)
        yield f"another program in place of worker {index}", partial(foreign, index)
    for _ in range(plan.number(1, 10)):
        for name, number in (("killed", signal.SIGKILL), ("stopped", signal.SIGSTOP)):
            index, seconds = rng.randrange(NUMBER), rng.uniform(0, duration)
            yield (
                f"worker {index} is {name} after {seconds:.1f} of {duration:.1f} s",
                partial(lost, number, index, seconds),
            )
