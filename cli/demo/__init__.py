"""`yokocho demo`: the whole way from a trained model to a prediction, with the real client."""
