"""Data sets and transforms.

Read as text and never imported; see `tf2ms/torch/helpers/__init__.py`.
"""

# mypy: ignore-errors

import mindspore as ms
import numpy as np


class TensorDataset:
    """PyTorch's TensorDataset."""

    def __init__(self, *tensors):
        self.tensors = [t.asnumpy() if isinstance(t, ms.Tensor) else t for t in tensors]

    def __getitem__(self, index):
        """One sample."""
        return tuple(t[index] for t in self.tensors)

    def __len__(self):
        """How many samples there are."""
        return len(self.tensors[0])


class Subset:
    """PyTorch's Subset."""

    def __init__(self, dataset, indices):
        self.dataset, self.indices = dataset, list(indices)

    def __getitem__(self, index):
        """One sample."""
        return self.dataset[self.indices[index]]

    def __len__(self):
        """How many samples there are."""
        return len(self.indices)


def random_split(dataset, lengths):
    """PyTorch's random_split."""
    if sum(lengths) <= 1:
        lengths = [int(len(dataset) * part) for part in lengths]
        lengths[0] += len(dataset) - sum(lengths)
    order = np.random.permutation(len(dataset)).tolist()
    return [Subset(dataset, order[sum(lengths[:i]) : sum(lengths[: i + 1])]) for i in range(len(lengths))]


class DataLoader:
    """PyTorch's DataLoader over a GeneratorDataset, whose columns are the first sample's."""

    def __init__(self, dataset, batch_size=1, shuffle=False, num_workers=0, drop_last=False):
        self.dataset, self.batch_size = dataset, batch_size
        sample = dataset[0]
        self.keys = list(sample) if isinstance(sample, dict) else None
        self.single = not isinstance(sample, (tuple, list, dict))
        columns = ["column_0"] if self.single else [f"column_{i}" for i in range(len(sample))]
        source = Values(dataset) if self.keys else dataset
        samples = ms.dataset.GeneratorDataset(source, columns, num_parallel_workers=num_workers or 1, shuffle=shuffle)
        self.batches = samples.batch(batch_size, drop_remainder=drop_last)

    def __iter__(self):
        """The batches of one epoch."""
        for batch in self.batches.create_tuple_iterator(num_epochs=1):
            yield batch[0] if self.single else dict(zip(self.keys, batch)) if self.keys else batch

    def __len__(self):
        """How many batches there are."""
        return self.batches.get_dataset_size()


class Values:
    """A data set of dictionaries as one of tuples."""

    def __init__(self, dataset):
        self.dataset = dataset

    def __getitem__(self, index):
        """One sample."""
        return tuple(self.dataset[index].values())

    def __len__(self):
        """How many samples there are."""
        return len(self.dataset)


class CollatedLoader:
    """PyTorch's DataLoader with a sampler or a collate function, in this process."""

    def __init__(
        self,
        dataset,
        batch_size=1,
        shuffle=False,
        sampler=None,
        batch_sampler=None,
        collate_fn=None,
        drop_last=False,
    ):
        self.dataset, self.collate_fn, self.sampler = dataset, collate_fn or default_collate, sampler
        if batch_sampler is None:
            self.sampler = sampler or (RandomSampler(dataset) if shuffle else range(len(dataset)))
            batch_sampler = BatchSampler(self.sampler, batch_size, drop_last)
        self.batch_sampler = batch_sampler

    def __iter__(self):
        """The batches of one epoch."""
        for indices in self.batch_sampler:
            yield self.collate_fn([self.dataset[i] for i in indices])

    def __len__(self):
        """How many batches there are."""
        return len(self.batch_sampler)


def default_collate(samples):
    """PyTorch's default_collate: samples of one form as one of batches."""
    first = samples[0]
    if isinstance(first, dict):
        return {key: default_collate([sample[key] for sample in samples]) for key in first}
    if isinstance(first, (tuple, list)):
        return [default_collate(list(column)) for column in zip(*samples)]
    if isinstance(first, str):
        return samples
    arrays = [sample.asnumpy() if isinstance(sample, ms.Tensor) else sample for sample in samples]
    return ms.Tensor(np.stack(arrays))


class RandomSampler:
    """PyTorch's RandomSampler."""

    def __init__(self, data_source, replacement=False, num_samples=None):
        self.data_source, self.replacement = data_source, replacement
        self.num_samples = len(data_source) if num_samples is None else num_samples

    def __iter__(self):
        """The indices of one epoch."""
        count = len(self.data_source)
        if self.replacement:
            return iter(np.random.randint(0, count, self.num_samples).tolist())
        rounds = [np.random.permutation(count) for _ in range(-(-self.num_samples // count))]
        return iter(np.concatenate(rounds)[: self.num_samples].tolist())

    def __len__(self):
        """How many there are."""
        return self.num_samples


class SubsetRandomSampler:
    """PyTorch's SubsetRandomSampler."""

    def __init__(self, indices):
        self.indices = indices

    def __iter__(self):
        """The indices of one epoch."""
        return (self.indices[i] for i in np.random.permutation(len(self.indices)).tolist())

    def __len__(self):
        """How many there are."""
        return len(self.indices)


class WeightedRandomSampler:
    """PyTorch's WeightedRandomSampler."""

    def __init__(self, weights, num_samples, replacement=True):
        weights = weights.asnumpy() if isinstance(weights, ms.Tensor) else weights
        self.weights = np.asarray(weights, np.float64)
        self.num_samples, self.replacement = num_samples, replacement

    def __iter__(self):
        """The indices of one epoch."""
        chances = self.weights / self.weights.sum()
        return iter(np.random.choice(len(chances), self.num_samples, self.replacement, chances).tolist())

    def __len__(self):
        """How many there are."""
        return self.num_samples


class BatchSampler:
    """PyTorch's BatchSampler."""

    def __init__(self, sampler, batch_size, drop_last):
        self.sampler, self.batch_size, self.drop_last = sampler, batch_size, drop_last

    def __iter__(self):
        """The indices of each batch."""
        batch = []
        for index in self.sampler:
            batch.append(index)
            if len(batch) == self.batch_size:
                yield batch
                batch = []
        if batch and not self.drop_last:
            yield batch

    def __len__(self):
        """How many batches there are."""
        whole, rest = divmod(len(self.sampler), self.batch_size)
        return whole if self.drop_last or not rest else whole + 1


class DistributedSampler:
    """PyTorch's DistributedSampler: each process reads its share."""

    def __init__(self, dataset, num_replicas=None, rank=None, shuffle=True, seed=0, drop_last=False):
        self.dataset, self.shuffle, self.seed, self.epoch = dataset, shuffle, seed, 0
        self.num_replicas = ms.communication.get_group_size() if num_replicas is None else num_replicas
        self.rank = ms.communication.get_rank() if rank is None else rank
        count = len(dataset)
        self.num_samples = count // self.num_replicas if drop_last else -(-count // self.num_replicas)

    def __iter__(self):
        """The indices of one epoch."""
        count, total = len(self.dataset), self.num_samples * self.num_replicas
        order = np.random.RandomState(self.seed + self.epoch).permutation(count) if self.shuffle else np.arange(count)
        return iter(np.resize(order, total)[self.rank :: self.num_replicas].tolist())

    def __len__(self):
        """How many there are."""
        return self.num_samples

    def set_epoch(self, epoch):
        """Another order for another epoch."""
        self.epoch = epoch


class ConcatDataset:
    """PyTorch's ConcatDataset."""

    def __init__(self, datasets):
        self.datasets = list(datasets)

    def __getitem__(self, index):
        """One sample."""
        index = index % len(self)
        for dataset in self.datasets:
            if index < len(dataset):
                return dataset[index]
            index -= len(dataset)

    def __len__(self):
        """How many samples there are."""
        return sum(len(dataset) for dataset in self.datasets)


def pad_sequence(sequences, batch_first=False, padding_value=0.0):
    """PyTorch's pad_sequence: tensors of different lengths as one, filled up behind their ends."""
    length = max(s.shape[0] for s in sequences)
    padded = []
    for sequence in sequences:
        missing = (length - sequence.shape[0], *sequence.shape[1:])
        filling = ms.numpy.full(missing, padding_value, dtype=sequence.dtype) if missing[0] else None
        padded.append(sequence if filling is None else ms.mint.cat([sequence, filling]))
    return ms.ops.stack(padded, axis=0 if batch_first else 1)
