export { Codec, load } from "./codec.js";
export { AudioDecError, AudioError, ConfigError, FormatError, ModelError } from "./errors.js";
export { PacketFormat } from "./packet.js";
export { Decoder, Encoder } from "./session.js";
