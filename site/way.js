/** A WebRTC connection to the other end: one data channel, as UDP would be. */

const LABEL = "audiodec";
const MAX_BUFFERED_BYTES = 16384; // in the channel; beyond, speech is better dropped than late

export class Way {
  /**
   * @param {RTCIceServer[]} iceServers
   * @param {(signal: object) => void} say takes what the other end is to be told
   * @param {{onopen: () => void, onlost: () => void}} listeners
   */
  constructor(iceServers, say, { onopen, onlost }) {
    this.onmessage = (/** @type {ArrayBuffer} */ datagram) => {};
    this._say = say;
    this._onopen = onopen;
    this._onlost = onlost;
    this._channel = null;
    this._connection = new RTCPeerConnection({ iceServers });
    this._connection.onicecandidate = ({ candidate }) => {
      if (candidate) say({ candidate: candidate.toJSON() });
    };
    this._connection.ondatachannel = ({ channel }) => {
      if (channel.label === LABEL && !this._channel) this._use(channel);
    };
    this._connection.onconnectionstatechange = () => {
      if (this._connection.connectionState === "failed") this._lose();
    };
  }

  /** Make the channel, and offer it. */
  async offer() {
    this._use(this._connection.createDataChannel(LABEL, { ordered: false, maxRetransmits: 0 }));
    await this._connection.setLocalDescription();
    this._describe();
  }

  /** Do what the other end says. @param {{description?: object, candidate?: object}} signal */
  async hear({ description, candidate }) {
    if (description) {
      await this._connection.setRemoteDescription(description);
      if (description.type === "offer") {
        await this._connection.setLocalDescription();
        this._describe();
      }
    } else if (candidate) {
      await this._connection.addIceCandidate(candidate);
    }
  }

  /** Send, or lose, as a network would. @param {Uint8Array} datagram */
  send(datagram) {
    const channel = this._channel;
    if (channel?.readyState === "open" && channel.bufferedAmount < MAX_BUFFERED_BYTES) {
      channel.send(datagram);
    }
  }

  close() {
    this._onlost = () => {};
    this._connection.close();
  }

  _describe() {
    const { type, sdp } = this._connection.localDescription;
    this._say({ description: { type, sdp } });
  }

  _use(channel) {
    this._channel = channel;
    channel.binaryType = "arraybuffer";
    channel.onmessage = ({ data }) => {
      if (data instanceof ArrayBuffer) this.onmessage(data);
    };
    channel.onclose = () => this._lose();
    if (channel.readyState === "open") this._onopen();
    else channel.onopen = () => this._onopen();
  }

  _lose() {
    const tell = this._onlost;
    this._onlost = () => {};
    tell();
  }
}
