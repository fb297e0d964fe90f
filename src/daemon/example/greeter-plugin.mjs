/**
 * An external plugin that adds a gRPC service, example.Greeter, with nothing but what hawserd gives it.
 *
 * In the configuration:
 *
 *     external_plugins = ["/path/of/greeter-plugin.mjs"]
 *
 *     [plugins."io.containerd.grpc.v1.greeter"]
 *       greeting = "Ahoy"
 *
 * A module's default export is one registration, or an array of them. `ctr plugins ls` shows the plugin, and why it has not started
 * if it has not.
 */

/**
 * The messages of the service. Whatever has these two functions will do: classes that protobufjs generates, or, as here, a message
 * of one text written by hand (`message Text { string text = 1; }`, for texts of up to 127 bytes).
 */
const Text = {
  encode: ({ text = '' }) => {
    const bytes = Buffer.from(text).subarray(0, 127);
    return { finish: () => (bytes.length === 0 ? bytes : Buffer.concat([Buffer.of(0x0a, bytes.length), bytes])) };
  },
  decode: (bytes) => ({ text: bytes[0] === 0x0a ? Buffer.from(bytes.subarray(2, 2 + bytes[1])).toString() : '' }),
};

/** The service: its full name, and for each method its kind and messages. */
const Greeter = {
  name: 'example.Greeter',
  methods: {
    Greet: { kind: 'unary', request: Text, response: Text },
    /** Everything that happens, one line for each event, until the caller leaves. */
    Gossip: { kind: 'serverStream', request: Text, response: Text },
  },
};

export default {
  type: 'io.containerd.grpc.v1',
  id: 'greeter',
  // What is to be there first: all plugins of a type, or one as TYPE.ID.
  requires: ['io.containerd.event.v1'],

  /** Checks what the configuration says, and completes it. What this throws is shown with the plugin. */
  config: ({ greeting = 'Hello', ...rest }) => {
    const [unknown] = Object.keys(rest);
    if (unknown !== undefined) throw new Error(`unknown key ${unknown}; there is greeting`);
    if (typeof greeting !== 'string') throw new Error('greeting must be a text in quotes');
    return { greeting };
  },

  /** Makes the plugin. One of this type makes services, each a definition with what answers it. */
  init: ({ config, events, log, exports, onClose }) => {
    exports.greeting = config.greeting;
    onClose(() => log.info('the greeter has said goodbye'));
    return {
      services: [
        {
          definition: Greeter,
          handlers: {
            Greet: ({ text }, call) => {
              if (text === '') throw new Error('whom should I greet?');
              return { text: `${config.greeting}, ${text} of ${call.namespace}!` };
            },
            async *Gossip({ text }, { signal }) {
              for await (const { namespace, topic } of events.subscribe(text === '' ? [] : [text], signal))
                yield { text: `${namespace} ${topic}` };
            },
          },
        },
      ],
    };
  },
};
