"""esocs: a machine's classification of the ESO Science Archive, validated by people."""
