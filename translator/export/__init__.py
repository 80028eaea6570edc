"""How does another engine read a trained model?"""
