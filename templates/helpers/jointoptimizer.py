class JointOptimizer(nn.Cell):
    """Several optimizers as one, each for parameters of its own."""

    def __init__(self, parameters, optimizers):
        super().__init__(auto_prefix=False)
        names = [parameter.name for parameter in parameters]
        for number, optimizer in enumerate(optimizers):
            for state in optimizer.get_parameters():
                if state.name not in names:
                    state.name = f"optimizer{number}.{state.name}"  # each has a global_step of its own
        self.parameters = ms.ParameterTuple(parameters)
        self.optimizers = nn.CellList(optimizers, auto_prefix=False)
        self.places = [[names.index(parameter.name) for parameter in item.parameters] for item in optimizers]

    def construct(self, gradients):
        done = ()
        for optimizer, places in zip(self.optimizers, self.places):
            done += (optimizer(tuple([gradients[place] for place in places])),)
        return done
