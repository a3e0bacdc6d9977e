"""The commands: files, folders, weights, verification, reports, and what must not happen."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tf2ms.torch.cli import torch_apis_command, torch_command

SCRIPTS = Path(__file__).parent / "scripts"

MODEL = """import torch.nn as nn
from .layers import Block


class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.embed = nn.Embedding(10, width)
        self.conv = nn.Conv1d(width, 6, 3, padding=1)
        self.block = Block(6)
        self.norm = nn.LayerNorm(4)
        self.fc = nn.Linear(4, 2, bias=False)

    def forward(self, x):
        x = self.conv(self.embed(x).transpose(1, 2))
        x = self.block(x.unsqueeze(-1)).squeeze(-1)
        return self.fc(self.norm(x))
"""
LAYERS = """import torch.nn as nn


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.body = nn.Sequential(nn.ConvTranspose2d(width, width, 1), nn.BatchNorm2d(width), nn.PReLU())

    def forward(self, x):
        return self.body(x)
"""


def run(*arguments):
    return CliRunner().invoke(torch_command, [str(a) for a in arguments])


@pytest.fixture
def package(tmp_path):
    folder = tmp_path / "pkg"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "model.py").write_text(MODEL)
    (folder / "layers.py").write_text(LAYERS)
    return folder


def test_package_keeps_its_relative_imports(package, tmp_path):
    result = run(package, "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    text = (tmp_path / "out/pkg/model.py").read_text()
    assert "from .layers import Block" in text and "class Net(nn.Cell)" in text
    assert (tmp_path / "out/pkg/__init__.py").read_text() == ""
    assert "pkg/model.py" in result.output


def test_report_escapes_what_the_file_says(tmp_path):
    source = tmp_path / "evil.py"
    source.write_text('import torch\nx = torch.nothing("<script>alert(1)</script>")\n')
    for name in ("report.html", "report.json"):
        assert run(source, "-o", tmp_path / "out", "--report", tmp_path / name).exit_code == 0
    page = (tmp_path / "report.html").read_text()
    assert "<script>" not in page and "torch.nothing" in page
    items = json.loads((tmp_path / "report.json").read_text())["files"][0]["items"]
    assert [i["kind"] for i in items] == ["attention"]
    text = (tmp_path / "out/evil.py").read_text()
    assert "# tf2ms: torch.nothing: no MindSpore form is known\nx = torch.nothing(" in text


def test_edited_output_is_kept(tmp_path):
    out = tmp_path / "out"
    source = SCRIPTS / "vae.py"
    assert run(source, "-o", out).exit_code == 0
    assert run(source, "-o", out).exit_code == 0
    written = (out / "vae.py").read_text()
    (out / "vae.py").write_text("mine\n")
    result = run(source, "-o", out)
    assert result.exit_code == 1 and "--force" in result.output
    assert (out / "vae.py").read_text() == "mine\n"
    assert run(source, "-o", out, "--force").exit_code == 0
    assert (out / "vae.py").read_text() == written


def test_nothing_is_written_when_one_file_fails(tmp_path):
    (tmp_path / "good.py").write_text("import torch\n")
    (tmp_path / "bad.py").write_text("import torch\ndef f(:\n")
    result = run(tmp_path / "good.py", tmp_path / "bad.py", "-o", tmp_path / "out")
    assert result.exit_code == 1 and "bad.py" in result.output and "line 2" in result.output
    assert not (tmp_path / "out").exists()


def test_source_is_never_the_output(tmp_path):
    source = tmp_path / "model.py"
    source.write_text("import torch\n")
    result = run(source, "-o", tmp_path, "--force")
    assert result.exit_code == 1 and source.read_text() == "import torch\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("from torch.nn import *\n", "star import"),
        ("import torch\nx = (\n", "not Python source"),
    ],
)
def test_refusals(tmp_path, text, message):
    source = tmp_path / "a.py"
    source.write_text(text)
    result = run(source, "-o", tmp_path / "out")
    assert result.exit_code == 1 and message in result.output


def test_usage(tmp_path):
    assert run(SCRIPTS / "vae.py").exit_code == 2
    assert run(SCRIPTS / "vae.py", "-o", tmp_path, "--verify", "VAE()").exit_code == 2
    assert run(SCRIPTS / "vae.py", "-o", tmp_path, "--report", "x.txt").exit_code == 2
    assert run(tmp_path / "none.py", "-o", tmp_path / "out").exit_code == 1


def test_verify_and_weights(package, tmp_path):
    torch = pytest.importorskip("torch")
    ms = pytest.importorskip("mindspore")
    import importlib
    import sys

    sys.path.insert(0, str(tmp_path))
    try:
        net = importlib.import_module("pkg.model").Net(8)
    finally:
        sys.path.remove(str(tmp_path))
        for name in [n for n in sys.modules if n.partition(".")[0] == "pkg"]:
            del sys.modules[name]
    torch.save({"state_dict": net.state_dict()}, tmp_path / "model.pth")
    out = tmp_path / "out"
    arguments = (package, "-o", out, "--weights", tmp_path / "model.pth")
    guessed = run(*arguments)
    assert guessed.exit_code == 0, guessed.output
    names = set(ms.load_checkpoint(str(out / "model.ckpt")))
    result = run(*arguments, "--verify", "Net(8)", "--input", "3,4:10")
    assert result.exit_code == 0, result.output
    assert "outputs equal" in result.output and "gradients equal" in result.output
    checkpoint = ms.load_checkpoint(str(out / "model.ckpt"))
    assert set(checkpoint) >= {"embed.embedding_table", "conv.weight", "norm.gamma", "block.body.1.moving_mean"}
    assert {n for n in checkpoint if not n.startswith("block.body.2")} <= names
    np.testing.assert_array_equal(checkpoint["conv.weight"].asnumpy()[:, :, 0], net.conv.weight.detach().numpy())


def test_verify_compares_before_what_changes_in_place(tmp_path):
    """PyTorch's ReLU(inplace=True) overwrites the output of the layer before it."""
    pytest.importorskip("torch")
    pytest.importorskip("mindspore")
    arguments = ("--verify", "UNet(3, 2, True)", "--input", "1,3,16,16")
    result = run(SCRIPTS / "unet.py", "-o", tmp_path / "out", *arguments)
    assert result.exit_code == 0, result.output
    assert "53 outputs equal" in result.output


def test_verify_finds_a_difference(tmp_path):
    pytest.importorskip("torch")
    pytest.importorskip("mindspore")
    source = tmp_path / "m.py"
    text = "import torch, random\nfrom torch import nn\n\n\nclass M(nn.Module):\n    def __init__(self):\n"
    text += "        super().__init__()\n        self.f = nn.Linear(3, 2)\n\n    def forward(self, x):\n"
    source.write_text(text + "        return self.f(x) * random.random()\n")
    result = run(source, "-o", tmp_path / "out", "--verify", "M()", "--input", "2,3")
    assert result.exit_code == 3 and "differ" in result.output


def test_broken_weights(tmp_path):
    pytest.importorskip("torch")
    (tmp_path / "w.pth").write_bytes(b"not a checkpoint")
    result = run(SCRIPTS / "vae.py", "-o", tmp_path / "out", "--weights", tmp_path / "w.pth")
    assert result.exit_code == 1 and "w.pth" in result.output
    assert not (tmp_path / "out").exists()


def test_table_is_printed():
    result = CliRunner().invoke(torch_apis_command, [])
    assert result.exit_code == 0
    tested = int(result.output.strip().splitlines()[-1].split(", ")[1].split()[0])
    assert tested >= 500
    assert "torch.nn.Linear" in CliRunner().invoke(torch_apis_command, ["nn.Linear"]).output


def test_page_is_current():
    page = Path(__file__).parents[2] / "docs/torch_apis.md"
    assert page.read_text() == CliRunner().invoke(torch_apis_command, ["--markdown"]).output
