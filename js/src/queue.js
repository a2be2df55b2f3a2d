/** Runs tasks one after another: a stream's calls keep their order, whoever awaits them or not. */
export class Queue {
  constructor() {
    /** @type {Promise<unknown>} */
    this._last = Promise.resolve();
  }

  /**
   * @template T
   * @param {() => Promise<T>} task
   * @returns {Promise<T>}
   */
  run(task) {
    const result = this._last.then(task);
    this._last = result.catch(() => {}); // the next task runs, however this one ends
    return result;
  }
}
