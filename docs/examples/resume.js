// A line to routeraudio that survives cuts. For browsers and Node 22 or later.
//
//     const line = new Line("wss://speech.example.com", { provider: "auto", encoding: "webm", sample_rate: 48000,
//                                                          jwt_token }, (message) => show(message));
//     recorder.ondataavailable = async ({ data }) => line.send(new Uint8Array(await data.arrayBuffer()));
//     await line.finish();

export class Line {
  #router; #request; #shown; #tell; #token; #socket;
  #read = 0;         // number of the last message that was read
  #kept = [];        // audio that may not have arrived
  #forgotten = 0;    // bytes before the first that is kept
  #isFinished = false;
  #isOpen = false;
  #pauseMs = 100;
  #over; #resolve; #reject;

  constructor(router, parameters, tell) {
    this.#router = router;
    this.#request = { ...parameters, resume: 60, acks: true };
    this.#shown = parameters.api_key ? { api_key: parameters.api_key } : {};  // a jwt_token is good for one connection
    this.#tell = tell;
    this.#over = new Promise((resolve, reject) => { this.#resolve = resolve; this.#reject = reject; });
    this.#connect();
  }

  send(bytes) {
    this.#kept.push(bytes);
    if (this.#isOpen) this.#socket.send(bytes);
  }

  // No more audio. Resolves when all is said.
  finish() {
    this.#isFinished = true;
    if (this.#isOpen) this.#socket.send('{"type":"end_of_stream"}');
    return this.#over;
  }

  #connect() {
    const back = { resume_token: this.#token, after: this.#read, ...this.#shown };
    const query = new URLSearchParams(this.#token ? back : this.#request);
    const socket = this.#socket = new WebSocket(`${this.#router}/v1/listen?${query}`);
    socket.onmessage = ({ data }) => this.#hear(JSON.parse(data));
    socket.onclose = ({ code, reason }) => {
      this.#isOpen = false;
      if (code === 1000) this.#resolve();
      else if (code !== 1006) this.#reject(new Error(`closed with ${code} ${reason}`));
      else {
        setTimeout(() => this.#connect(), this.#pauseMs);
        this.#pauseMs = Math.min(2 * this.#pauseMs, 5000);
      }
    };
  }

  #hear(message) {
    if (message.type === "session") {
      this.#token = message.resume_token;
      this.#pauseMs = 100;
      this.#forget(message.received_bytes);
      for (const bytes of this.#kept) this.#socket.send(bytes);
      if (this.#isFinished) this.#socket.send('{"type":"end_of_stream"}');
      this.#isOpen = true;
    } else if (message.type === "ack") {
      this.#forget(message.received_bytes);
    } else {
      this.#read = message.seq;
      this.#tell(message);
    }
  }

  #forget(arrived) {
    while (this.#kept.length && this.#forgotten + this.#kept[0].length <= arrived) {
      this.#forgotten += this.#kept.shift().length;
    }
    if (this.#kept.length && this.#forgotten < arrived) {
      this.#kept[0] = this.#kept[0].subarray(arrived - this.#forgotten);
      this.#forgotten = arrived;
    }
  }
}
