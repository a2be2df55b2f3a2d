/** Sound files in, files out, and words for what goes wrong with them. */

export const RATE = 48000; // Hz of the model, and of everything here

/**
 * Any sound file that the browser reads -> one channel at `RATE`.
 *
 * @param {ArrayBuffer} bytes
 * @param {string} name for the error
 */
export async function mono(bytes, name) {
  const context = new OfflineAudioContext(1, 1, RATE);
  const sound = await context.decodeAudioData(bytes).catch(() => {
    throw new Error(`${name} is no sound that this browser reads: try WAV, FLAC, MP3 or Ogg.`);
  });
  const samples = new Float32Array(sound.length);
  for (let i = 0; i < sound.numberOfChannels; i += 1) {
    const channel = sound.getChannelData(i);
    for (let n = 0; n < samples.length; n += 1) samples[n] += channel[n] / sound.numberOfChannels;
  }
  for (let n = 0; n < samples.length; n += 1) samples[n] = Math.max(-1, Math.min(1, samples[n]));
  if (!samples.length) throw new Error(`${name} holds no sound.`);
  return samples;
}

/**
 * Hand a file to the user.
 *
 * @param {Uint8Array} bytes
 * @param {string} name
 */
export function download(bytes, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([bytes], { type: "application/octet-stream" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/**
 * What happened, as one would say it.
 *
 * @param {Error} error
 */
export function words(error) {
  if (error.name === "NotAllowedError") {
    return "The microphone was refused. Allow it for this page in the browser's address bar, then try again.";
  }
  if (error.name === "NotFoundError" || error.name === "OverconstrainedError") {
    return "There is no such microphone. Connect one, or choose another.";
  }
  if (error.name === "NotReadableError") {
    return "The microphone cannot be opened: another program may be using it.";
  }
  return error.message || String(error);
}

/** The microphone, as it is: browsers would filter it otherwise. Throws what `words` explains. */
export async function openMicrophone(constraints) {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new Error("A browser gives the microphone only to pages over HTTPS or on this machine.");
  }
  return navigator.mediaDevices.getUserMedia({ audio: constraints });
}
