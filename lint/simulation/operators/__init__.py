"""What each layer type computes, forward and backward; a type's record names its class as `simulate="module.Class"`."""
