/**
 * Errors a user can make, by name. Each carries one line that says what is wrong and what to do.
 */

/** Base of every error this library throws on purpose. */
export class AudioDecError extends Error {
  name = "AudioDecError"; // spelt out: bundlers shorten the names of classes
}

/** An option or a model's configuration does not fit. */
export class ConfigError extends AudioDecError {
  name = "ConfigError";
}

/** A model is missing, damaged, or not the one the data was made with. */
export class ModelError extends AudioDecError {
  name = "ModelError";
}

/** Bytes are not what the format says: damaged, truncated or not ours. */
export class FormatError extends AudioDecError {
  name = "FormatError";
}

/** Sound has an unusable shape, type or content. */
export class AudioError extends AudioDecError {
  name = "AudioError";
}
