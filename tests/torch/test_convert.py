"""What the converter does to the text of a file, without either framework."""

from __future__ import annotations

import ast
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tf2ms.errors import SourceError, Tf2msError
from tf2ms.torch import convert_package, convert_source, table


def convert(text):
    return convert_source(text, "script.py").text


def attention(text):
    return [item.source for item in convert_source(text, "script.py").report.of("attention")]


@pytest.mark.parametrize(
    "imports, name",
    [
        ("import torch", "torch.nn.Linear"),
        ("import torch as t", "t.nn.Linear"),
        ("import torch.nn", "torch.nn.Linear"),
        ("import torch.nn as nn", "nn.Linear"),
        ("from torch import nn", "nn.Linear"),
        ("from torch import nn as tnn", "tnn.Linear"),
        ("from torch.nn import Linear", "Linear"),
        ("from torch.nn import Linear as L", "L"),
        ("from torch.nn.modules.linear import Linear", "Linear"),
        ("import torch\nmod = torch.nn", "mod.Linear"),
    ],
)
def test_every_import_form(imports, name):
    text = convert(f"{imports}\n\nlayer = {name}(3, 4, bias=False)\n")
    assert "nn.Dense(3, 4, has_bias=False)" in text
    assert "torch" not in text


def test_aliases_of_the_user_are_followed():
    text = convert("import torch.nn as nn\n\nconv = nn.Conv2d\nlayer = conv(3, 4, 3, padding=1, bias=False)\n")
    assert "layer = conv(3, 4, 3, pad_mode='pad', padding=1, has_bias=False)" in text


def test_a_name_of_the_user_is_not_pytorchs():
    source = "import torch\n\n\ndef f(torch):\n    return torch.abs(3)\n\n\ndef g():\n    torch = 3\n    return torch\n"
    assert convert(source).endswith(source.removeprefix("import torch\n"))


def test_view_of_something_else_is_left_alone():
    source = "import torch\nimport numpy as np\n\nx = np.ones(3)\ny = x.view(np.int32)\nz = open('f').size()\n"
    text = convert(source)
    assert text == source.removeprefix("import torch\n")


def test_names_that_the_file_uses_itself_are_not_taken():
    text = convert("import torch\n\nops = 3\nmint = torch.ops_free if False else None\ny = torch.softmin\n")
    assert "ops = 3" in text
    text = convert("import torch\n\nmint = 3\nx = torch.abs(torch.ones(2))\n")
    assert "from mindspore import mint as ms_mint" in text and "ms_mint.abs(" in text and "mint = 3" in text


def test_unknown_things_stay_under_a_comment():
    text = convert(
        "import torch\nfrom torch import nn\n\n\nclass M(nn.Module):\n    a = nn.Unheard(3)\n    b = torch.abs\n"
    )
    assert "    # tf2ms: torch.nn.Unheard: no MindSpore form is known\n    a = torch.nn.Unheard(3)" in text
    assert "import torch\n" in text and "class M(nn.Cell):" in text


def test_an_argument_without_a_form_keeps_the_call():
    source = "from torch import nn\n\nlayer = nn.Conv2d(3, 4, 3, padding=1, padding_mode='reflect')\n"
    text = convert(source)
    assert "# tf2ms: torch.nn.Conv2d: its argument padding_mode has no MindSpore form" in text
    assert "torch.nn.Conv2d(3, 4, 3, padding=1, padding_mode='reflect')" in text
    assert attention(source) == ["torch.nn.Conv2d"]


def test_keyword_arguments_that_are_passed_on_are_named():
    text = convert(
        "from torch import nn\n\n\ndef conv(i, o, **kwargs):\n    return nn.Conv2d(i, o, bias=False, **kwargs)\n"
    )
    assert "nn.Conv2d(i, o, pad_mode='pad', has_bias=False, **kwargs)" in text
    assert "groups is group" in text


def test_comments_blank_lines_and_formatting_stay():
    source = (
        "import torch  # the framework\n\n\n# a long call\nx = torch.add(  # first\n    torch.ones(2),   # one\n"
        "    torch.ones(2),\n)\n\n\n\ny = [1,2]   # odd\n"
    )
    text = convert(source)
    for part in ("# a long call", "# first", "# one", "\n\n\n\ny = [1,2]   # odd\n"):
        assert part in text


def test_no_grad_outside_of_a_step_needs_nothing():
    text = convert(
        "import torch\n\n\ndef f(net, x):\n    net.eval()\n"
        "    with torch.no_grad():\n        # look\n        return net(x)\n"
    )
    assert text.endswith("    net.set_train(False)\n    # look\n    return net(x)\n")


def test_a_network_that_is_never_told_its_mode_trains_as_in_pytorch():
    source = "from torch import nn\n\n\nclass M(nn.Module):\n    pass\n\n\nnet = M().to('cuda')\n"
    assert "net = M().set_train()" in convert(source)


def test_accumulation_starts_before_the_loop():
    source = """import torch


def train(model, loader, optimizer):
    for i, (x, y) in enumerate(loader):
        loss = model(x, y) / 4
        loss.backward()
        if (i + 1) % 4 == 0:
            optimizer.step()
            optimizer.zero_grad()
"""
    text = convert(source)
    assert "    grads = None\n    for i, (x, y)" in text
    assert "            optimizer(grads)\n            grads = None\n" in text


def test_a_step_that_is_not_understood_is_marked():
    source = "import torch\n\n\ndef f(loss):\n    loss.backward()\n"
    assert attention(source) == ["Tensor.backward"]


def test_subclassing_across_files():
    files = {
        "pkg/__init__.py": "",
        "pkg/base.py": "from torch import nn\n\n\nclass Base(nn.Module):\n"
        "    def forward(self, x):\n        return x.size(0)\n",
        "pkg/net.py": "from .base import Base\n\n\nclass Net(Base):\n"
        "    def forward(self, torch_x):\n        return torch_x.size(1)\n",
    }
    out = convert_package(files)
    assert "class Base(nn.Cell):\n    def construct(self, x):\n        return x.shape[0]" in out["pkg/base.py"].text
    assert (
        "class Net(Base):\n    def construct(self, torch_x):\n        return torch_x.shape[1]" in out["pkg/net.py"].text
    )


def test_star_imports_are_refused():
    with pytest.raises(SourceError, match=r"line 1: a star import from torch.nn"):
        convert("from torch.nn import *\n")


def test_registering_twice_is_an_error():
    table.load()
    with pytest.raises(ValueError, match="twice"):
        table.row("nn.Linear(a)", "nn.Dense(a)", "nn.Linear(1)")


def test_every_row_without_examples_says_why():
    for row in table.rows():
        assert row.examples or row.untested, row.name
    assert sum(bool(row.examples) for row in table.rows()) >= 500


SEVEN = ["Tensor.view", "Tensor.size", "Tensor.sum", "torch.nn.Upsample", "torch.nn.Linear", "torch.nn.PixelShuffle"]


@pytest.mark.parametrize("name", SEVEN)
def test_the_documented_pairs_have_rows(name):
    assert table.find(name) is not None


LIBRARY = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"), key=lambda p: p.stat().st_size)


@pytest.mark.parametrize("path", LIBRARY[60:160:4], ids=lambda p: p.name)
def test_files_without_pytorch_are_unchanged(path):
    text = path.read_text(encoding="utf-8")
    assert convert(text) == text
    if "__future__" not in text:
        # the whole pipeline, with nothing to do
        assert convert("import torch\n" + text).strip() == text.strip()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                "import torch",
                "from torch import nn",
                "x = torch.ones(2)",
                "def f(x):",
                "    return x.view(-1)",
                "class A(nn.Module):",
                "    def forward(self, x):",
                "        return nn.Linear(2, *x, **y)(x)",
                "x.backward()",
                "o.step()",
                "with torch.no_grad():",
                "    pass",
                "for i in x:",
                "    loss = f(x); loss.backward(); o.step()",
                "(",
                "'",
                "\\",
                "torch = 3",
                "del torch",
            ]
        ),
        max_size=12,
    )
)
def test_any_text_converts_or_fails_with_a_message(lines):
    try:
        ast.parse(convert("\n".join(lines) + "\n"))
    except Tf2msError as error:
        assert str(error)


GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.py")), ids=lambda p: p.stem)
def test_style_of_the_output(path):
    """A change of style shows in review."""
    assert convert((path.parents[1] / "scripts" / path.name).read_text()) == path.read_text()


def test_frozen_weights_are_walked_through():
    """trainable_params() holds what is trained alone: a loop that unfreezes, or averages, must see the others."""
    source = (
        "from torch import nn\n\n\ndef f(m: nn.Module, n: nn.Module):\n    for p in m.parameters():\n"
        "        p.requires_grad = False\n    for p, q in zip(m.parameters(), n.parameters()):\n"
        "        p.data.mul_(0.9).add_(q.data, alpha=0.1)\n"
    )
    converted = convert(source)
    assert "for p, q in zip(parameters(m), parameters(n)):" in converted
    assert "ops.assign(p, p.mul(0.9).add(q, alpha=0.1))" in converted
    assert "for p in m.trainable_params():" in convert(source.replace("p.requires_grad = False", "print(p)"))


def test_converting_needs_neither_framework():
    code = (
        "import sys; sys.modules.update(torch=None, mindspore=None, tensorflow=None)\n"
        "from tf2ms.torch import convert_source\n"
        "print(convert_source('import torch\\nx = torch.abs(torch.ones(2))\\n').text)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "mint.abs(mint.ones((2,)))" in done.stdout, done.stderr


def test_a_part_of_a_checkpoint_is_not_loaded_as_the_whole():
    source = (
        "import torch\nfrom torch import nn\n\n\n"
        "def f(m: nn.Module):\n    m.load_state_dict(torch.load('a.pth')['model'])\n"
    )
    assert not attention(source)
    assert "load_state_dict(m, load_state('a.ckpt')['model'])" in convert(source)
