"""PyTorch scripts to MindSpore scripts: parse, resolve names, apply the table, print."""

from tf2ms.torch.convert import Converted, convert_package, convert_source

__all__ = ["Converted", "convert_package", "convert_source"]
