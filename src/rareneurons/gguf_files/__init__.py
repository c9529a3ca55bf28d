"""GGUF files, in which llama.cpp keeps quantised models: unpacked to ordinary folders of weights and of a tokenizer."""
