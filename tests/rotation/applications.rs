//! What a running application sees of rotations.
