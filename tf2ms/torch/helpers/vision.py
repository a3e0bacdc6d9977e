"""torchvision's transforms and data sets where MindSpore's differ.

Read as text and never imported; see `tf2ms/torch/helpers/__init__.py`.
"""

# mypy: ignore-errors

import math
import os
import random

import numpy as np
from mindspore.dataset import vision
from PIL import Image


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


class RandomChoice:
    """torchvision's RandomChoice."""

    def __init__(self, transforms, p=None):
        self.transforms, self.p = transforms, p

    def __call__(self, image):
        """Applies one of them."""
        return random.choices(self.transforms, self.p)[0](image)


class RandomOrder:
    """torchvision's RandomOrder."""

    def __init__(self, transforms):
        self.transforms = transforms

    def __call__(self, image):
        """Applies all of them in any order."""
        for transform in random.sample(self.transforms, len(self.transforms)):
            image = transform(image)
        return image


class ColorJitter:
    """torchvision's ColorJitter."""

    def __init__(self, brightness=0, contrast=0, saturation=0, hue=0):
        self.changes = []
        for change, value, middle in (
            (vision.AdjustBrightness, brightness, 1),
            (vision.AdjustContrast, contrast, 1),
            (vision.AdjustSaturation, saturation, 1),
            (vision.AdjustHue, hue, 0),
        ):
            if isinstance(value, (tuple, list)):
                self.changes.append((change, value))
            elif value:
                self.changes.append(
                    (change, (middle - value if middle == 0 else max(0, middle - value), middle + value))
                )

    def __call__(self, image):
        """Changes the colours in any order."""
        for change, ends in random.sample(self.changes, len(self.changes)):
            image = change(random.uniform(*ends))(image)
        return image


class GaussianBlur:
    """torchvision's GaussianBlur: sigma is drawn from a range."""

    def __init__(self, kernel_size, sigma=(0.1, 2.0)):
        self.kernel_size, self.sigma = kernel_size, sigma if isinstance(sigma, (tuple, list)) else (sigma, sigma)

    def __call__(self, image):
        """Blurs."""
        return vision.ToPIL()(vision.GaussianBlur(self.kernel_size, random.uniform(*self.sigma))(image))


class RandomAffine:
    """torchvision's RandomAffine, for PIL images."""

    def __init__(self, degrees, translate=None, scale=None, shear=None, fill=0, center=None):
        self.degrees = degrees if isinstance(degrees, (tuple, list)) else (-degrees, degrees)
        self.translate, self.scale, self.fill, self.center = translate, scale, fill, center
        self.shear = (-shear, shear) if isinstance(shear, (int, float)) else shear

    def __call__(self, image):
        """Draws a transform and applies it."""
        width, height = image.size
        angle = random.uniform(*self.degrees)
        moves = (0, 0)
        if self.translate:
            moves = [round(random.uniform(-t * n, t * n)) for t, n in zip(self.translate, image.size)]
        scale = random.uniform(*self.scale) if self.scale else 1.0
        shears = (0.0, 0.0)
        if self.shear:
            shears = (random.uniform(*self.shear[:2]), random.uniform(*self.shear[2:]) if self.shear[2:] else 0.0)
        center = self.center or (width * 0.5, height * 0.5)
        matrix = inverse_affine(center, angle, moves, scale, shears)
        return image.transform(
            image.size, Image.Transform.AFFINE, matrix, Image.Resampling.NEAREST, fillcolor=self.fill
        )


def inverse_affine(center, angle, translate, scale, shear):
    """The matrix from places of the result to places of the image."""
    rotation, x, y = (math.radians(value) for value in (angle, *shear))
    a = math.cos(rotation - y) / math.cos(y)
    b = -math.cos(rotation - y) * math.tan(x) / math.cos(y) - math.sin(rotation)
    c = math.sin(rotation - y) / math.cos(y)
    d = -math.sin(rotation - y) * math.tan(x) / math.cos(y) + math.cos(rotation)
    a, b, c, d = d / scale, -b / scale, -c / scale, a / scale
    left, up = (-(at + move) for at, move in zip(center, translate))
    return [a, b, a * left + b * up + center[0], c, d, c * left + d * up + center[1]]


class VisionDataset:
    """A MindSpore data set in memory, read by index, as torchvision's."""

    def __init__(self, dataset, transform=None, target_transform=None):
        self.transform, self.target_transform = transform, target_transform
        images, targets = zip(
            *((row[0], row[-1]) for row in dataset.create_tuple_iterator(num_epochs=1, output_numpy=True))
        )
        self.data = np.stack(images)
        self.data = self.data[..., 0] if self.data.shape[-1] == 1 else self.data
        self.targets = [int(target) for target in targets]

    def __getitem__(self, index):
        """An image and its class."""
        image, target = Image.fromarray(self.data[index]), self.targets[index]
        if self.transform is not None:
            image = self.transform(image)
        return image, target if self.target_transform is None else self.target_transform(target)

    def __len__(self):
        """How many images there are."""
        return len(self.data)


class ImageFolder:
    """torchvision's ImageFolder: one folder of images for each class."""

    def __init__(self, root, transform=None, target_transform=None):
        self.root, self.transform, self.target_transform = root, transform, target_transform
        self.classes = sorted(entry.name for entry in os.scandir(root) if entry.is_dir())
        self.class_to_idx = {name: number for number, name in enumerate(self.classes)}
        endings = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
        self.samples = []
        for name, number in self.class_to_idx.items():
            for folder, _, files in sorted(os.walk(os.path.join(root, name), followlinks=True)):
                paths = [os.path.join(folder, file) for file in sorted(files) if file.lower().endswith(endings)]
                self.samples += [(path, number) for path in paths]
        self.imgs, self.targets = self.samples, [number for _, number in self.samples]

    def __getitem__(self, index):
        """An image and its class."""
        path, target = self.samples[index]
        with open(path, "rb") as file:
            image = Image.open(file).convert("RGB")
        if self.transform is not None:
            image = self.transform(image)
        return image, target if self.target_transform is None else self.target_transform(target)

    def __len__(self):
        """How many images there are."""
        return len(self.samples)
