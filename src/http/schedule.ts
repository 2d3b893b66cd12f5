// POST /v1/schedule/preview: what a schedule means, before it is saved.
import { PreviewRequest } from '../model/schedule.ts';
import { checked, jsonBody } from './body.ts';
import type { Route } from './route.ts';
import { Schemas } from './schemas.ts';
import type { Services } from './services.ts';

export function scheduleRoutes(services: Services): Route[] {
  return [
    {
      method: 'POST',
      path: '/v1/schedule/preview',
      additive: true,
      storesNothing: true,
      schema: {
        summary: 'Explain a schedule and give its next times',
        tag: 'schedule',
        description:
          'A schedule that does not parse is an answer too: 200 with valid false and the place. Only a body that is no question is 400.',
        body: Schemas.PreviewRequest,
        responses: {
          200: { description: 'What it means.', body: Schemas.PreviewResponse },
          400: { description: 'The body is not valid.', body: Schemas.Error },
        },
      },
      handler: (request) => services.preview(checked(PreviewRequest, jsonBody(request), EXAMPLE)),
    },
  ];
}

const EXAMPLE = '{"schedule":"30 2 * * *"}';
