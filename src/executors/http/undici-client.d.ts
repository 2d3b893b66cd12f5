// Loading only undici's Client keeps 10 MB and 90 ms of fetch, WebSocket and caches out of the runner; its types are the public ones.
declare module 'undici/lib/dispatcher/client.js' {
  import { Client } from 'undici';
  export default Client;
}
