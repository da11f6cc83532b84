"""What has nothing to do with words: checks, files, versions, how TensorFlow starts."""
