"""Shape rules at random: every layer and function against torch, with numbers and with symbols."""
