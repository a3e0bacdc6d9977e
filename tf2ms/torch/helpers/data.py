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

    def __init__(self, dataset, batch_size=1, shuffle=False, drop_last=False):
        self.dataset, self.batch_size = dataset, batch_size
        sample = dataset[0]
        self.single = not isinstance(sample, (tuple, list))
        columns = ["column_0"] if self.single else [f"column_{i}" for i in range(len(sample))]
        self.batches = ms.dataset.GeneratorDataset(dataset, columns, shuffle=shuffle).batch(
            batch_size, drop_remainder=drop_last
        )

    def __iter__(self):
        """The batches of one epoch."""
        for batch in self.batches.create_tuple_iterator(num_epochs=1):
            yield batch[0] if self.single else batch

    def __len__(self):
        """How many batches there are."""
        return self.batches.get_dataset_size()


class Compose:
    """torchvision's Compose."""

    def __init__(self, transforms):
        self.transforms = transforms

    def __call__(self, image):
        """Applies one after the other."""
        for transform in self.transforms:
            image = transform(image)
        return image


class RandomApply:
    """torchvision's RandomApply."""

    def __init__(self, transforms, p=0.5):
        self.transforms, self.p = transforms, p

    def __call__(self, image):
        """Applies all or none."""
        if np.random.rand() < self.p:
            for transform in self.transforms:
                image = transform(image)
        return image
