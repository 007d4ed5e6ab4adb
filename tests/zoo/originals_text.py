"""Recurrent language models, with the names of PyTorch's word_language_model."""

from __future__ import annotations

from torch import Tensor, nn


class LSTMLanguageModel(nn.Module):
    """Recurrent Neural Network Regularization (2014)."""

    def __init__(self, vocab: int = 10_000, width: int = 650, layers: int = 2, dropout: float = 0.5) -> None:
        super().__init__()
        self.drop = nn.Dropout(dropout)
        self.encoder = nn.Embedding(vocab, width)
        self.rnn = nn.LSTM(width, width, layers, dropout=dropout)
        self.decoder = nn.Linear(width, vocab)
        self.init_weights()

    def init_weights(self) -> None:
        """As the example starts."""
        nn.init.uniform_(self.encoder.weight, -0.1, 0.1)
        nn.init.zeros_(self.decoder.bias)
        nn.init.uniform_(self.decoder.weight, -0.1, 0.1)

    def forward(self, tokens: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Scores of the next words, and the state."""
        x = self.drop(self.encoder(tokens))
        x, (h, c) = self.rnn(x, (h, c))
        return self.decoder(self.drop(x)), h, c


class GRULanguageModel(nn.Module):
    """The same with gated recurrent units, reading words by the embedding that writes them."""

    def __init__(self, vocab: int = 10_000, width: int = 200, layers: int = 2, dropout: float = 0.2) -> None:
        super().__init__()
        self.drop = nn.Dropout(dropout)
        self.encoder = nn.Embedding(vocab, width)
        self.rnn = nn.GRU(width, width, layers, dropout=dropout)
        self.decoder = nn.Linear(width, vocab)
        self.decoder.weight = self.encoder.weight
        self.init_weights()

    def init_weights(self) -> None:
        """As the example starts."""
        nn.init.uniform_(self.encoder.weight, -0.1, 0.1)
        nn.init.zeros_(self.decoder.bias)

    def forward(self, tokens: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """Scores of the next words, and the state."""
        x = self.drop(self.encoder(tokens))
        x, h = self.rnn(x, h)
        return self.decoder(self.drop(x)), h
