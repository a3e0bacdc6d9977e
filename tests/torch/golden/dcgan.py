import mindspore as ms
from mindspore import nn
from mindspore import ops
from mindspore import numpy as mnp
from mindspore.experimental import optim
from mindspore.common.initializer import Normal, initializer

nz, ngf, ndf, nc = 16, 8, 8, 3


# custom weights initialization called on netG and netD
def weights_init(m):
    classname = m.__class__.__name__
    if classname.find('Conv') != -1:
        m.weight.set_data(initializer(Normal(0.02, 0.0), m.weight.shape, m.weight.dtype))


class Generator(nn.Cell):
    def __init__(self):
        super(Generator, self).__init__()
        self.main = nn.SequentialCell(
            # input is Z, going into a convolution
            nn.Conv2dTranspose(nz, ngf * 4, 4, 1, pad_mode='pad', padding=0, has_bias=False),
            nn.BatchNorm2d(ngf * 4),
            nn.ReLU(),
            # state size. (ngf*4) x 4 x 4
            nn.Conv2dTranspose(ngf * 4, ngf, 4, 2, pad_mode='pad', padding=1, has_bias=False),
            nn.BatchNorm2d(ngf),
            nn.ReLU(),
            nn.Conv2dTranspose(ngf, nc, 4, 2, pad_mode='pad', padding=1, has_bias=False),
            nn.Tanh()
            # state size. (nc) x 16 x 16
        )

    def construct(self, input):
        return self.main(input)


class Discriminator(nn.Cell):
    def __init__(self):
        super(Discriminator, self).__init__()
        self.main = nn.SequentialCell(
            nn.Conv2d(nc, ndf, 4, 2, pad_mode='pad', padding=1, has_bias=False),
            nn.LeakyReLU(0.2),
            nn.Conv2d(ndf, ndf * 2, 4, 2, pad_mode='pad', padding=1, has_bias=False),
            nn.BatchNorm2d(ndf * 2),
            nn.LeakyReLU(0.2),
            nn.Conv2d(ndf * 2, 1, 4, 1, pad_mode='pad', padding=0, has_bias=False),
            nn.Sigmoid()
        )

    def construct(self, input):
        output = self.main(input)
        return output.view(-1, 1).squeeze(1)


def train(netG, netD, dataloader, noises, lr=0.0002, beta1=0.5):
    criterion = nn.BCELoss()
    real_label = 1.
    fake_label = 0.

    # setup optimizer
    optimizerD = optim.Adam(netD.trainable_params(), lr=lr, betas=(beta1, 0.999))
    optimizerG = optim.Adam(netG.trainable_params(), lr=lr, betas=(beta1, 0.999))

    history = []
    for i, data in enumerate(dataloader, 0):
        ############################
        # (1) Update D network: maximize log(D(x)) + log(1 - D(G(z)))
        ###########################
        # train with real
        real_cpu = data
        batch_size = real_cpu.shape[0]
        label = mnp.full((batch_size,), real_label,
                           dtype=real_cpu.dtype)

        def forward_errD_real():
            output = netD(real_cpu)
            errD_real = criterion(output, label)
            return errD_real, output
        (errD_real, output), grads_errD_real = ms.value_and_grad(forward_errD_real, None, optimizerD.parameters, has_aux=True)()
        D_x = output.mean().item()

        # train with fake
        noise = noises[i]
        def forward_errD_fake(label):
            fake = netG(noise)
            label = ops.full_like(label, fake_label)
            output = netD(ops.stop_gradient(fake))
            errD_fake = criterion(output, label)
            return errD_fake, fake, label, output
        (errD_fake, fake, label, output), grads_errD_fake = ms.value_and_grad(forward_errD_fake, None, optimizerD.parameters, has_aux=True)(label)
        D_G_z1 = output.mean().item()
        errD = errD_real + errD_fake
        grads_optimizerD = tuple(sum(parts) for parts in zip(grads_errD_real, grads_errD_fake))
        optimizerD(grads_optimizerD)

        ############################
        # (2) Update G network: maximize log(D(G(z)))
        ###########################
        label = ops.full_like(label, real_label)  # fake labels are real for generator cost
        def forward_errG():
            fake = netG(noise)
            output = netD(fake)
            errG = criterion(output, label)
            return errG, output
        (errG, output), grads_errG = ms.value_and_grad(forward_errG, None, optimizerG.parameters, has_aux=True)()
        D_G_z2 = output.mean().item()
        optimizerG(grads_errG)

        history.append((errD.item(), errG.item(), D_x, D_G_z1, D_G_z2))
    return history
