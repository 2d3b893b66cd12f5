import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeMessage, LineDecoder, type NodeMessage } from './protocol.ts';

test('messages survive any cutting of the stream', () => {
  const messages: NodeMessage[] = [
    { t: 'hello', protocol: 1, epoch: 3, pid: 4, reaps: true },
    { t: 'ack', keys: [1, 2, 3] },
    { t: 'stop', runs: [{ key: 1, reason: 'user' }] },
    { t: 'warm', executors: ['ü\u{1f514}\n'] },
  ];
  const bytes = Buffer.from(messages.map(encodeMessage).join(''));
  fc.assert(
    fc.property(fc.array(fc.nat(bytes.length), { maxLength: 20 }), (cuts) => {
      const decoder = new LineDecoder<NodeMessage>();
      const edges = [0, ...cuts.toSorted((a, b) => a - b), bytes.length];
      const heard = edges.slice(1).flatMap((edge, i) => decoder.push(bytes.subarray(edges[i], edge)));
      expect(heard).toEqual(messages);
    }),
  );
});

test('what is no message is an error', () => {
  expect(() => new LineDecoder().push(Buffer.from('GET / HTTP/1.1\n'))).toThrow(SyntaxError);
});
