import { expect, test } from 'vitest';
import { harmful } from './retire-harmful.ts';

const USUALLY_WELL = { everywhere: { helped: 900, hurt: 100 }, here: { helped: 90, hurt: 10 } };
const USUALLY_BADLY = { everywhere: { helped: 900, hurt: 100 }, here: { helped: 20, hurt: 180 } };

test('a reflection is judged by all its runs, and by what is usual where they were', () => {
  const found = harmful([
    { reflectionId: 'bad', helped: 0, hurt: 5, ...USUALLY_WELL },
    { reflectionId: 'bad', helped: 1, hurt: 4, ...USUALLY_WELL },
    { reflectionId: 'in a hard repository', helped: 1, hurt: 9, ...USUALLY_BADLY },
    { reflectionId: 'good', helped: 9, hurt: 1, ...USUALLY_WELL },
    { reflectionId: 'young', helped: 0, hurt: 3, ...USUALLY_WELL },
  ]);
  expect(found).toEqual([{ reflectionId: 'bad', reason: expect.stringMatching(/^1 of 10 runs .* 0\.90 without$/) }]);
});
