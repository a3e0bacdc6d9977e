"""torchvision: transforms of PIL images and of the arrays that ToTensor makes of them, and data sets.

The examples are compared with torchvision itself; `image` is a PIL image and `array` a tensor, channels first.
"""

from __future__ import annotations

from collections.abc import Callable

import libcst as cst

from tf2ms.torch.calls import Call
from tf2ms.torch.table import Example, row
from tf2ms.torch.target import code

_F = "torchvision.transforms.functional"
for _name in ("BILINEAR", "BICUBIC", "NEAREST"):
    for _place in ("transforms", _F):
        _why = "a constant: the rows of Resize use it"
        row(f"{_place}.InterpolationMode.{_name}", f"vision.Inter.{_name}", untested=_why, gives="")


def _shape(code: str) -> Example:
    """A random result: its shape and kind."""
    return Example(code, "shape")


def _rounded(code: str) -> Example:
    """Whole numbers that may be rounded another way: within one of 255."""
    return Example(code, "forward", 1 / 255)


_BORDER = (
    "vision.Border.CONSTANT if padding_mode == 'constant' else vision.Border.EDGE if padding_mode == 'edge' "
    "else vision.Border.REFLECT if padding_mode == 'reflect' else vision.Border.SYMMETRIC"
)
_PIL = {"BILINEAR", "BICUBIC", "NEAREST"}


def _resize(call: Call) -> object:
    """vision.Resize(size, interpolation=interpolation)."""
    node = call.arg("interpolation")
    if node is not None and (mode := code(node).rpartition(".")[2]) in _PIL:
        return call.expr(f"vision.Resize(size, vision.Inter.{mode})")
    return call.apply("vision.Resize(size, interpolation=interpolation)")


# What may come after ToTensor: the rest take images, height first.
_OF_ARRAYS = {"Normalize", "RandomErasing", "Lambda", "ToPILImage", "Compose", "RandomApply"}


def _compose(call: Call) -> object:
    """helper.Compose(transforms)."""
    node, array = call.original.args[0].value, False
    for item in node.elements if isinstance(node, cst.List | cst.Tuple) else ():
        made = item.value
        full = call.rewriter.analysis.value(made.func).name if isinstance(made, cst.Call) else ""
        name = full.rpartition(".")[2]
        if array and full.startswith("torchvision.") and name not in _OF_ARRAYS:
            raise call.fail(f"{name} comes after ToTensor; in MindSpore it takes images: put it before")
        array = (array or name in ("ToTensor", "PILToTensor")) and name != "ToPILImage"
    return call.apply("helper.Compose(transforms)")


def _to_tensor(call: Call) -> object:
    """vision.ToTensor()."""
    call.note("an array of float32 is divided by 255 too, in PyTorch only one of uint8")
    return call.apply("vision.ToTensor()")


def _of_images(form: str) -> Callable[[Call], object]:
    """A function of images, which is not for tensors, whose channels come first."""

    def convert(call: Call) -> object:
        if call.value("img").kind == "tensor":
            raise call.fail("MindSpore's form takes PIL images, not tensors")
        return call.apply(form)

    convert.__doc__ = f"{form}."
    return convert


def _example(code: str | Example) -> Example:
    """The example of a transform, of the image where it does not name what it is called with."""
    if isinstance(code, Example):
        return code
    return Example(f"transforms.{code}" + ("" if ")(" in code else "(image)"), "forward")


# Random parts that are switched on or fixed, so that results can be compared.
_TRANSFORMS: tuple[tuple[str, str | Callable[..., object], list[str | Example]], ...] = (
    ("Compose(transforms)", _compose, ["Compose([transforms.Resize(8), transforms.ToTensor()])"]),
    ("ToTensor()", _to_tensor, ["ToTensor()", "ToTensor()(pixels)"]),
    ("PILToTensor()", "vision.HWC2CHW()", ["PILToTensor()"]),
    ("ToPILImage()", "vision.ToPIL()", [_shape("transforms.ToPILImage()(pixels)")]),
    (
        "Normalize(mean, std, inplace=False)",
        "vision.Normalize(mean=mean, std=std, is_hwc=False)",
        ["Normalize((0.5, 0.4, 0.3), (0.2, 0.3, 0.4))(array)", "Normalize(mean=[0.5], std=[0.25])(gray)"],
    ),
    (
        "Resize(size, interpolation=InterpolationMode.BILINEAR, max_size=None, antialias=True)",
        _resize,
        [
            "Resize(16)",
            "Resize((16, 20))",
            "Resize(50)",
            "Resize((9, 7), interpolation=transforms.InterpolationMode.BICUBIC)",
            "Resize(12, transforms.InterpolationMode.NEAREST)",
        ],
    ),
    ("CenterCrop(size)", "vision.CenterCrop(size)", ["CenterCrop(20)", "CenterCrop((21, 17))", "CenterCrop(50)"]),
    (
        "RandomCrop(size, padding=None, pad_if_needed=False)",
        "vision.RandomCrop(size=size, padding=padding, pad_if_needed=pad_if_needed)",
        ["RandomCrop((30, 40))", _shape("transforms.RandomCrop(28, padding=4)(image)")],
    ),
    (
        "RandomResizedCrop(size, scale=(0.08, 1.0), ratio=(0.75, 1.3333333333333333), antialias=True)",
        "vision.RandomResizedCrop(size=size, scale=scale, ratio=ratio)",
        ["RandomResizedCrop(12, scale=(1, 1), ratio=(4 / 3, 4 / 3))", _shape("transforms.RandomResizedCrop(9)(image)")],
    ),
    (
        "RandomHorizontalFlip(p=0.5)",
        "vision.RandomHorizontalFlip(prob=p)",
        ["RandomHorizontalFlip(p=1.0)", "RandomHorizontalFlip(0.0)"],
    ),
    ("RandomVerticalFlip(p=0.5)", "vision.RandomVerticalFlip(prob=p)", ["RandomVerticalFlip(1.0)"]),
    (
        "RandomRotation(degrees, expand=False, center=None, fill=0)",
        "vision.RandomRotation(degrees=degrees, expand=expand, center=center, fill_value=fill)",
        [
            "RandomRotation((30, 30))",
            "RandomRotation((30, 30), expand=True, fill=9)",
            "RandomRotation(degrees=(200, 200), center=(3, 4))",
            _shape("transforms.RandomRotation(10)(image)"),
        ],
    ),
    (
        "RandomAffine(degrees, translate=None, scale=None, shear=None, fill=0, center=None)",
        "helper.RandomAffine(degrees, translate=translate, scale=scale, shear=shear, fill=fill, center=center)",
        [
            "RandomAffine((20, 20))",
            "RandomAffine(degrees=(10, 10), scale=(1.2, 1.2), shear=(5, 5), fill=7)",
            "RandomAffine((5, 5), shear=(5, 5, 3, 3), center=(4, 5))",
            _shape("transforms.RandomAffine(15, translate=(0.1, 0.2), shear=4)(image)"),
        ],
    ),
    (
        "ColorJitter(brightness=0, contrast=0, saturation=0, hue=0)",
        "helper.ColorJitter(brightness=brightness, contrast=contrast, saturation=saturation, hue=hue)",
        [
            "ColorJitter(brightness=(1.5, 1.5))",
            "ColorJitter(contrast=(1.4, 1.4))",
            "ColorJitter(saturation=(0.5, 0.5))",
            "ColorJitter(hue=(0.2, 0.2))",
            _shape("transforms.ColorJitter(0.4, 0.4, 0.4, 0.1)(image)"),
        ],
    ),
    (
        "Grayscale(num_output_channels=1)",
        "vision.Grayscale(num_output_channels=num_output_channels)",
        ["Grayscale()", "Grayscale(num_output_channels=3)"],
    ),
    ("RandomGrayscale(p=0.1)", "vision.RandomGrayscale(prob=p)", ["RandomGrayscale(p=1.0)"]),
    (
        "RandomErasing(p=0.5, scale=(0.02, 0.33), ratio=(0.3, 3.3), value=0, inplace=False)",
        "vision.RandomErasing(prob=p, scale=scale, ratio=ratio, value=value)",
        ["RandomErasing(p=0.0)(array)", _shape("transforms.RandomErasing(1.0)(array)")],
    ),
    (
        "RandomPerspective(distortion_scale=0.5, p=0.5)",
        "vision.RandomPerspective(distortion_scale=distortion_scale, prob=p)",
        ["RandomPerspective(p=0.0)", _shape("transforms.RandomPerspective(0.5, 1.0)(image)")],
    ),
    (
        "Pad(padding, fill=0, padding_mode='constant')",
        f"vision.Pad(padding=padding, fill_value=fill, padding_mode={_BORDER})",
        [
            "Pad(2)",
            "Pad((1, 2))",
            "Pad((1, 2, 3, 4), fill=7)",
            "Pad(2, padding_mode='reflect')",
            "Pad(3, padding_mode='edge')",
        ],
    ),
    ("FiveCrop(size)", "vision.FiveCrop(size)", ["FiveCrop(10)"]),
    (
        "TenCrop(size, vertical_flip=False)",
        "vision.TenCrop(size, use_vertical_flip=vertical_flip)",
        ["TenCrop(10)", "TenCrop(10, vertical_flip=True)"],
    ),
    (
        "GaussianBlur(kernel_size, sigma=(0.1, 2.0))",
        "helper.GaussianBlur(kernel_size, sigma=sigma)",
        [
            _rounded("transforms.GaussianBlur(5, sigma=(1.2, 1.2))(image)"),
            _rounded("transforms.GaussianBlur(kernel_size=3, sigma=0.8)(image)"),
            _shape("transforms.GaussianBlur(5)(image)"),
        ],
    ),
    (
        "RandomAdjustSharpness(sharpness_factor, p=0.5)",
        "helper.RandomApply([vision.AdjustSharpness(sharpness_factor), vision.ToPIL()], p)",
        ["RandomAdjustSharpness(2.0, p=1.0)"],
    ),
    ("RandomAutocontrast(p=0.5)", "helper.RandomApply([vision.AutoContrast()], p)", ["RandomAutocontrast(1.0)"]),
    ("RandomEqualize(p=0.5)", "helper.RandomApply([vision.Equalize()], p)", ["RandomEqualize(p=1.0)"]),
    ("RandomInvert(p=0.5)", "helper.RandomApply([vision.Invert()], p)", ["RandomInvert(p=1.0)"]),
    (
        "RandomPosterize(bits, p=0.5)",
        "helper.RandomApply([vision.Posterize(bits), vision.ToPIL()], p)",
        ["RandomPosterize(3, p=1.0)"],
    ),
    (
        "RandomSolarize(threshold, p=0.5)",
        "helper.RandomApply([vision.Solarize(threshold), vision.ToPIL()], p)",
        ["RandomSolarize(100, p=1.0)"],
    ),
    (
        "AutoAugment()",
        "helper.Compose([vision.AutoAugment(), vision.ToPIL()])",
        [_shape("transforms.AutoAugment()(image)")],
    ),
    (
        "TrivialAugmentWide()",
        "helper.Compose([vision.TrivialAugmentWide(), vision.ToPIL()])",
        [_shape("transforms.TrivialAugmentWide()(image)")],
    ),
    (
        "RandomApply(transforms, p=0.5)",
        "helper.RandomApply(transforms, p=p)",
        ["RandomApply([transforms.CenterCrop(8)], p=1.0)", "RandomApply([transforms.CenterCrop(8)], p=0.0)"],
    ),
    (
        "RandomChoice(transforms, p=None)",
        "helper.RandomChoice(transforms, p=p)",
        ["RandomChoice([transforms.CenterCrop(8), transforms.CenterCrop(8)])"],
    ),
    (
        "RandomOrder(transforms)",
        "helper.RandomOrder(transforms)",
        ["RandomOrder([transforms.CenterCrop(20), transforms.RandomVerticalFlip(1.0)])"],
    ),
)
for _source, _target, _examples in _TRANSFORMS:
    row(f"transforms.{_source}", _target, *[_example(e) for e in _examples], gives="")
row(
    "transforms.Lambda(lambd)",
    lambda call: call.arg("lambd"),
    Example("transforms.Lambda(lambda x: x.resize((5, 7)))(image)", "forward"),
    gives="",
)

row(
    "transforms.RandAugment(num_ops=2, magnitude=9)",
    "helper.Compose([vision.RandAugment(num_ops=num_ops, magnitude=magnitude), vision.ToPIL()])",
    _shape("transforms.RandAugment()(image)"),
    changed="num_ops magnitude",
    gives="",
)

# torchvision.transforms.functional
for _source, _form, _codes in (
    ("to_tensor(pic)", "vision.ToTensor()(pic)", ["to_tensor(image)"]),
    ("pil_to_tensor(pic)", "vision.HWC2CHW()(pic)", ["pil_to_tensor(image)"]),
    (
        "normalize(tensor, mean, std, inplace=False)",
        "vision.Normalize(mean, std, is_hwc=False)(tensor)",
        ["normalize(array, [0.5, 0.4, 0.3], [0.2, 0.3, 0.4])"],
    ),
    (
        "resize(img, size, interpolation=InterpolationMode.BILINEAR, max_size=None, antialias=True)",
        "vision.Resize(size)(img)",
        ["resize(image, 12)", "resize(image, (9, 8))"],
    ),
    ("center_crop(img, output_size)", "vision.CenterCrop(output_size)(img)", ["center_crop(image, (9, 8))"]),
    (
        "crop(img, top, left, height, width)",
        "vision.ToPIL()(vision.Crop((top, left), (height, width))(img))",
        ["crop(image, 2, 3, 10, 12)"],
    ),
    (
        "resized_crop(img, top, left, height, width, size, antialias=True)",
        "vision.Resize(size)(vision.ToPIL()(vision.Crop((top, left), (height, width))(img)))",
        ["resized_crop(image, 2, 3, 10, 12, (8, 9))"],
    ),
    ("hflip(img)", "vision.ToPIL()(vision.HorizontalFlip()(img))", ["hflip(image)"]),
    ("vflip(img)", "vision.ToPIL()(vision.VerticalFlip()(img))", ["vflip(image)"]),
    (
        "rotate(img, angle, expand=False, center=None, fill=0)",
        "vision.RandomRotation((angle, angle), expand=expand, center=center, fill_value=fill)(img)",
        ["rotate(image, 30)", "rotate(image, -20, expand=True, fill=3)"],
    ),
    (
        "rgb_to_grayscale(img, num_output_channels=1)",
        "vision.Grayscale(num_output_channels)(img)",
        ["rgb_to_grayscale(image, 3)"],
    ),
    ("to_grayscale(img, num_output_channels=1)", "vision.Grayscale(num_output_channels)(img)", ["to_grayscale(image)"]),
    (
        "adjust_brightness(img, brightness_factor)",
        "vision.AdjustBrightness(brightness_factor)(img)",
        ["adjust_brightness(image, 1.5)"],
    ),
    (
        "adjust_contrast(img, contrast_factor)",
        "vision.AdjustContrast(contrast_factor)(img)",
        ["adjust_contrast(image, 0.6)"],
    ),
    (
        "adjust_saturation(img, saturation_factor)",
        "vision.AdjustSaturation(saturation_factor)(img)",
        ["adjust_saturation(image, 1.7)"],
    ),
    ("adjust_hue(img, hue_factor)", "vision.AdjustHue(hue_factor)(img)", ["adjust_hue(image, 0.2)"]),
    (
        "adjust_sharpness(img, sharpness_factor)",
        "vision.ToPIL()(vision.AdjustSharpness(sharpness_factor)(img))",
        ["adjust_sharpness(image, 2.0)"],
    ),
    ("adjust_gamma(img, gamma, gain=1)", "vision.AdjustGamma(gamma, gain)(img)", ["adjust_gamma(image, 0.7)"]),
    ("invert(img)", "vision.Invert()(img)", ["invert(image)"]),
    ("equalize(img)", "vision.Equalize()(img)", ["equalize(image)"]),
    ("autocontrast(img)", "vision.AutoContrast()(img)", ["autocontrast(image)"]),
    ("posterize(img, bits)", "vision.ToPIL()(vision.Posterize(bits)(img))", ["posterize(image, 3)"]),
    ("solarize(img, threshold)", "vision.ToPIL()(vision.Solarize(threshold)(img))", ["solarize(image, 100)"]),
    ("five_crop(img, size)", "vision.FiveCrop(size)(img)", ["five_crop(image, (9, 9))"]),
    (
        "pad(img, padding, fill=0)",
        "vision.Pad(padding, fill_value=fill)(img)",
        ["pad(image, 2)", "pad(image, [1, 2], fill=3)"],
    ),
    ("to_pil_image(pic)", "vision.ToPIL()(pic)", ["to_pil_image(pixels)"]),
):
    row(
        f"{_F}.{_source}",
        _of_images(_form) if "img" in _source else _form,
        *[Example(f"functional.{e}", "forward") for e in _codes],
        gives="",
    )


# Data sets
_READ = "tests/torch/test_vision.py reads one"


for _name, _folder, _reader, _archive in (
    ("MNIST", "/MNIST/raw", "MnistDataset", "the four files unpacked"),
    ("FashionMNIST", "/FashionMNIST/raw", "FashionMnistDataset", "the four files unpacked"),
    ("CIFAR10", "/cifar-10-batches-bin", "Cifar10Dataset", "cifar-10-binary.tar.gz unpacked"),
    ("CIFAR100", "/cifar-100-binary", "Cifar100Dataset", "cifar-100-binary.tar.gz unpacked"),
):
    row(
        f"torchvision.datasets.{_name}(root, train=True, transform=None, target_transform=None, download=False)",
        f"helper.VisionDataset(ms.dataset.{_reader}(root + '{_folder}', 'train' if train else 'test', shuffle=False), "
        "transform=transform, target_transform=target_transform)",
        untested=_READ,
        gives="dataset",
        ignored="download",
        note=f"reads root{_folder}: {_archive}; nothing is downloaded",
    )
row(
    "torchvision.datasets.ImageFolder(root, transform=None, target_transform=None)",
    "helper.ImageFolder(root, transform=transform, target_transform=target_transform)",
    untested=_READ,
    gives="dataset",
)
