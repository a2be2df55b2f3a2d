export { Endpoint } from "./call/endpoint.js";
export { RemoteCall } from "./call/remote.js";
export { Codec, load } from "./codec.js";
export { AudioDecError, AudioError, ConfigError, FormatError, ModelError } from "./errors.js";
export { ModelInfo } from "./config.js";
export { PacketFormat } from "./packet.js";
export { loadInWorker, RemoteCodec } from "./remote.js";
export { Decoder, Encoder } from "./session.js";
