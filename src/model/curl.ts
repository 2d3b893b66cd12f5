// Commands people paste: what curl needs besides the address.

/** With a blank in front: the credentials hint for a node that asks for these; empty when it asks for none. */
export function curlCredentials(asked: { readonly basic: boolean; readonly token: boolean }): string {
  if (asked.token) return ' -H "Authorization: Bearer $TOKEN"';
  return asked.basic ? ' -u USER:PASSWORD' : '';
}
