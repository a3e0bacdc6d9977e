"""torch.utils.data."""

from __future__ import annotations

from tf2ms.torch.calls import Call
from tf2ms.torch.table import row, rule
from tf2ms.torch.target import code
from tf2ms.torch.tells import columns_of

FILES = "tests/torch/test_scripts.py runs it"
SAMPLED = "tests/torch/test_data.py runs it"

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
    nodes = [call.arg(name) for name in ("sampler", "batch_sampler", "collate_fn")]
    if any(node is not None and code(node) != "None" for node in nodes):
        return call.apply(
            "helper.CollatedLoader(dataset, batch_size=batch_size, shuffle=shuffle, sampler=sampler, "
            "batch_sampler=batch_sampler, collate_fn=collate_fn, drop_last=drop_last)"
        )
    columns = columns_of(call.value("dataset"))
    if not columns or call.rewriter.reads_dataset():
        return call.apply(
            "helper.DataLoader(dataset, batch_size=batch_size, shuffle=shuffle, num_workers=num_workers, "
            "drop_last=drop_last)"
        )
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


row("torch.utils.data.Sampler", "object", untested=SAMPLED)
row("torch.utils.data.ConcatDataset(datasets)", "helper.ConcatDataset(datasets)", untested=SAMPLED, gives="dataset")
row("torch.utils.data.default_collate(batch)", "helper.default_collate(batch)", untested=SAMPLED, gives="")
row("torch.utils.data.dataloader.default_collate(batch)", "helper.default_collate(batch)", untested=SAMPLED, gives="")
row("torch.utils.data.SequentialSampler(data_source)", "range(len(data_source))", untested=SAMPLED, gives="")
for _source, _target in {
    "RandomSampler(data_source, replacement=False, num_samples=None, generator=None)": (
        "helper.RandomSampler(data_source, replacement=replacement, num_samples=num_samples)"
    ),
    "SubsetRandomSampler(indices, generator=None)": "helper.SubsetRandomSampler(indices)",
    "WeightedRandomSampler(weights, num_samples, replacement=True, generator=None)": (
        "helper.WeightedRandomSampler(weights, num_samples, replacement=replacement)"
    ),
    "BatchSampler(sampler, batch_size, drop_last)": "helper.BatchSampler(sampler, batch_size, drop_last)",
}.items():
    row(f"torch.utils.data.{_source}", _target, untested=SAMPLED, gives="")
for _place in ("torch.utils.data", "torch.utils.data.distributed"):
    row(
        f"{_place}.DistributedSampler(dataset, num_replicas=None, rank=None, shuffle=True, seed=0, drop_last=False)",
        "helper.DistributedSampler(dataset, num_replicas=num_replicas, rank=rank, shuffle=shuffle, seed=seed, "
        "drop_last=drop_last)",
        untested=SAMPLED,
        gives="",
    )
