import { describeMigrations } from '../../../test/support/migration-contract.ts';

describeMigrations('the embedded engine');
