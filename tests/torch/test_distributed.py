"""DistributedDataParallel in two processes: the steps that one process makes with the joined batch."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("mindspore")

from tf2ms.torch import convert_source

SCRIPT = """import sys

import numpy as np
import torch
import torch.distributed as dist
import torch.nn as nn
from torch.nn.parallel import DistributedDataParallel as DDP


def main(out):
    if len(sys.argv) > 1:
        dist.init_process_group('gloo')
    rank = dist.get_rank() if dist.is_initialized() else 0
    size = dist.get_world_size() if dist.is_initialized() else 1
    torch.manual_seed(rank)
    net = nn.Linear(3, 2)
    net.weight.data.fill_(0.1 * (rank + 1))  # only the first process's count
    net.bias.data.fill_(0.0)
    if dist.is_initialized():
        net = DDP(net)
    net.train()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    total = torch.zeros(1)
    for step in range(3):
        x = np.cos(np.arange(24, dtype=np.float32) + step).reshape(8, 3)
        half = 8 // size
        x = torch.tensor(x[rank * half:(rank + 1) * half])
        loss = ((net(x) - 1.0) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.detach()
    if dist.is_initialized():
        dist.all_reduce(total, op=dist.ReduceOp.SUM)
        total = total / size
    if rank == 0:
        weight = net.module.weight if dist.is_initialized() else net.weight
        np.savez(out, weight=weight.detach().cpu().numpy(), total=total.numpy())


if __name__ == '__main__':
    main(sys.argv[1])
"""


def test_two_processes(tmp_path):
    converted = convert_source(SCRIPT, "train.py")
    assert not converted.report.of("attention"), converted.report.summary()
    (tmp_path / "train.py").write_text(converted.text)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = Path(sys.executable).parent
    command = [folder / "msrun", "--worker_num=2", "--local_worker_num=2", "--master_addr=127.0.0.1", "--join=True"]
    command += [f"--master_port={port}", "--log_dir=log", "train.py", "out.npz"]
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [str(c) for c in command],
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, (tmp_path / "log/worker_0.log").read_text()[-3000:]
    made = np.load(tmp_path / "out.npz")
    scope: dict = {}
    exec(compile(SCRIPT.replace("len(sys.argv) > 1", "False"), "theirs.py", "exec"), scope)
    scope["main"](tmp_path / "theirs.npz")
    expected = np.load(tmp_path / "theirs.npz")
    np.testing.assert_allclose(made["weight"], expected["weight"], rtol=1e-5)
    np.testing.assert_allclose(made["total"], expected["total"], rtol=1e-5)
