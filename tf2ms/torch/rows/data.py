"""torch.utils.data and torchvision."""

from __future__ import annotations

from tf2ms.torch.analysis import columns_of
from tf2ms.torch.rewrite import Call
from tf2ms.torch.table import row, rule
from tf2ms.torch.target import code

FILES = "tests/torch/test_scripts.py runs it"
VISION = "torchvision is not among the test's requirements"

row("torch.utils.data.Dataset", "object", untested=FILES)
row("torch.utils.data.TensorDataset(*tensors)", "helper.TensorDataset", untested=FILES, gives="dataset")
row("torch.utils.data.Subset(dataset, indices)", "helper.Subset(dataset, indices)", untested=FILES, gives="dataset")
row(
    "torch.utils.data.random_split(dataset, lengths, generator=None)",
    "helper.random_split(dataset, lengths)",
    untested=FILES,
    gives="",
)


@rule(
    "torch.utils.data.DataLoader(dataset, batch_size=1, shuffle=False, sampler=None, "
    "batch_sampler=None, num_workers=0,"
    " collate_fn=None, pin_memory=False, drop_last=False)",
    untested=FILES,
    gives="loader",
    reference="ms.dataset.Dataset",
)
def data_loader(call: Call) -> object:
    """dataset.GeneratorDataset(dataset, [columns], shuffle=shuffle).batch(batch_size, drop_remainder=drop_last)."""
    for name in ("pin_memory", "num_workers"):
        call.arg(name)
    for name in ("sampler", "batch_sampler", "collate_fn"):
        node = call.arg(name)
        if node is not None and code(node) != "None":
            raise call.fail(f"its argument {name} has no MindSpore form")
    columns = columns_of(call.value("dataset"))
    if not columns or call.rewriter.reads_dataset():
        return call.apply("helper.DataLoader(dataset, batch_size=batch_size, shuffle=shuffle, drop_last=drop_last)")
    names = ", ".join(f'"{c}"' for c in columns)
    workers = (
        ", num_parallel_workers=num_workers"
        if isinstance(call.literal("num_workers", 0), int) and call.literal("num_workers", 0)
        else ""
    )
    drop = ", drop_remainder=drop_last" if call.arg("drop_last") is not None else ""
    values = {**call.defaults()}
    return call.expr(
        f"dataset_module.GeneratorDataset(dataset, [{names}]{workers}, "
        f"shuffle=shuffle).batch(batch_size{drop})".replace("dataset_module", "ms.dataset"),
        **values,
    )


# torchvision.transforms
row("transforms.Compose(transforms)", "helper.Compose(transforms)", untested=VISION, gives="")
for _source, _target in {
    "ToTensor()": "vision.ToTensor()",
    "PILToTensor()": "vision.HWC2CHW()",
    "ToPILImage()": "vision.ToPIL()",
    "Normalize(mean, std, inplace=False)": "vision.Normalize(mean=mean, std=std, is_hwc=False)",
    "Resize(size)": "vision.Resize(size)",
    "CenterCrop(size)": "vision.CenterCrop(size)",
    "RandomCrop(size, padding=None, pad_if_needed=False)": (
        "vision.RandomCrop(size=size, padding=padding, pad_if_needed=pad_if_needed)"
    ),
    "RandomResizedCrop(size, scale=(0.08, 1.0), ratio=(0.75, 1.3333333333333333))": (
        "vision.RandomResizedCrop(size=size, scale=scale, ratio=ratio)"
    ),
    "RandomHorizontalFlip(p=0.5)": "vision.RandomHorizontalFlip(prob=p)",
    "RandomVerticalFlip(p=0.5)": "vision.RandomVerticalFlip(prob=p)",
    "RandomRotation(degrees, expand=False, center=None, fill=0)": (
        "vision.RandomRotation(degrees=degrees, expand=expand, center=center, fill_value=fill)"
    ),
    "ColorJitter(brightness=0, contrast=0, saturation=0, hue=0)": (
        "vision.RandomColorAdjust(brightness=brightness, contrast=contrast, saturation=saturation, hue=hue)"
    ),
    "Grayscale(num_output_channels=1)": "vision.Grayscale(num_output_channels=num_output_channels)",
    "RandomGrayscale(p=0.1)": "vision.RandomGrayscale(prob=p)",
    "RandomErasing(p=0.5, scale=(0.02, 0.33), ratio=(0.3, 3.3), value=0)": (
        "vision.RandomErasing(prob=p, scale=scale, ratio=ratio, value=value)"
    ),
    "RandomPerspective(distortion_scale=0.5, p=0.5)": (
        "vision.RandomPerspective(distortion_scale=distortion_scale, prob=p)"
    ),
    "RandomAffine(degrees, translate=None, scale=None, shear=None)": (
        "vision.RandomAffine(degrees=degrees, translate=translate, scale=scale, shear=shear)"
    ),
    "Pad(padding, fill=0)": "vision.Pad(padding=padding, fill_value=fill)",
    "FiveCrop(size)": "vision.FiveCrop(size)",
    "TenCrop(size, vertical_flip=False)": "vision.TenCrop(size, use_vertical_flip=vertical_flip)",
    "GaussianBlur(kernel_size, sigma=None)": "vision.GaussianBlur(kernel_size=kernel_size, sigma=sigma)",
    "RandomAdjustSharpness(sharpness_factor, p=0.5)": "vision.RandomAdjustSharpness(degree=sharpness_factor, prob=p)",
    "RandomAutocontrast(p=0.5)": "vision.RandomAutoContrast(prob=p)",
    "RandomEqualize(p=0.5)": "vision.RandomEqualize(prob=p)",
    "RandomInvert(p=0.5)": "vision.RandomInvert(prob=p)",
    "RandomPosterize(bits, p=0.5)": "helper.RandomApply([vision.Posterize(bits)], p)",
    "RandomSolarize(threshold, p=0.5)": "helper.RandomApply([vision.Solarize(threshold)], p)",
    "AutoAugment()": "vision.AutoAugment()",
    "RandAugment(num_ops=2, magnitude=9)": "vision.RandAugment(num_ops=num_ops, magnitude=magnitude)",
    "TrivialAugmentWide()": "vision.TrivialAugmentWide()",
    "RandomApply(transforms, p=0.5)": "helper.RandomApply(transforms, p=p)",
}.items():
    row(f"transforms.{_source}", _target, untested=VISION, gives="")
row("transforms.Lambda(lambd)", lambda call: call.arg("lambd"), untested=VISION, gives="")
