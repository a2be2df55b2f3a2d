/** This end's seat in a room: a way to the other end, made anew whenever it breaks. */

import { Way } from "./way.js";

const PAUSE_MS = 1000; // before joining again
const OPEN_MS = 20_000; // for two ends to reach each other
const REFUSED = new Map([
  [1013, "no room"],
  [4400, "not understood"],
  [4401, "token"],
  [4409, "elsewhere"],
]); // codes with which a server closes for good

/** A name that nobody guesses. */
export function randomName() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return btoa(String.fromCharCode(...bytes)).replace(/[^A-Za-z0-9]/g, "-").replace(/-+$/, "");
}

export class Room {
  /**
   * @param {{url: string, room: string, token: string, ice: RTCIceServer[]}} where
   * @param {object} listeners
   * @param {(words: string) => void} listeners.say what is being done
   * @param {(way: Way) => void} listeners.onopen the other end can be spoken to
   * @param {() => void} listeners.onlost not any more
   * @param {(words: string) => void} listeners.onrefused the server lets this end in no more
   */
  constructor(where, { say, onopen, onlost, onrefused }) {
    this._where = where;
    this._end = randomName();
    this._tell = { say, onopen, onlost, onrefused };
    this._way = null;
    this._open = false; // the way is
    this._left = false;
    this._joined = false; // at least once
    this._join();
  }

  /** The way is of no use any more: join again. */
  rejoin() {
    this._drop();
    this._tell.say("The connection is lost. Connecting again.");
    this._again();
  }

  leave() {
    this._left = true;
    clearTimeout(this._timer);
    this._drop();
    this._socket.close();
  }

  _join() {
    const { url, room, token } = this._where;
    const socket = (this._socket = new WebSocket(url));
    let after = Promise.resolve(); // one message after the other
    let error = "";
    socket.onopen = () => socket.send(JSON.stringify({ room, end: this._end, token }));
    socket.onmessage = ({ data }) => {
      const said = JSON.parse(data);
      error = said.error ?? error;
      after = after.then(() => this._heard(socket, said)).catch(() => this._failed(socket));
    };
    socket.onclose = ({ code }) => {
      if (socket !== this._socket || this._left) return;
      if (REFUSED.has(code)) return this._tell.onrefused(error || REFUSED.get(code));
      if (!this._joined) {
        return this._tell.onrefused(`there is no server for calls at ${url}: start one with audiodec serve --rooms`);
      }
      if (!this._open) this._again(); // else the call goes on without the server
    };
  }

  _again() {
    clearTimeout(this._timer);
    this._timer = setTimeout(() => {
      const old = this._socket;
      if (!this._left) this._join();
      old.close();
    }, PAUSE_MS);
  }

  async _heard(socket, said) {
    if (socket !== this._socket || this._left) return;
    if (said.joined !== undefined) {
      this._joined = true;
      this._ice = [...said.ice, ...this._where.ice];
      this._tell.say("Waiting for the other end.");
    } else if (said.peer) {
      await this._begin(socket, said.offer);
    } else if (said.peer === false && !this._open) {
      this._drop();
      this._tell.say("The other end has left. Waiting for it to come back.");
    } else if (said.description || said.candidate) {
      await this._way?.hear(said);
    }
  }

  async _begin(socket, offer) {
    this._drop();
    this._tell.say("Connecting.");
    const way = new Way(
      this._ice,
      (signal) => socket.readyState === WebSocket.OPEN && socket.send(JSON.stringify(signal)),
      {
        onopen: () => {
          clearTimeout(this._timer);
          this._open = true;
          this._tell.onopen(way);
        },
        onlost: () => this.rejoin(),
      },
    );
    this._way = way;
    this._timer = setTimeout(() => this._failed(socket), OPEN_MS);
    if (offer) await way.offer();
  }

  /** The two ends do not reach each other, or the other one describes no way. */
  _failed(socket) {
    if (socket !== this._socket || this._left) return;
    this._drop();
    this._tell.say("The other end is not reached. Trying again.");
    this._again();
  }

  _drop() {
    clearTimeout(this._timer);
    this._way?.close();
    this._way = null;
    if (this._open) {
      this._open = false;
      this._tell.onlost();
    }
  }
}
