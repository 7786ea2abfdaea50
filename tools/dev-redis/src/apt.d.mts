/** Whether this process may install packages here: root on Debian or Ubuntu. */
export function canUseApt(): boolean;
/** Installs one package; throws what apt-get said. */
export function installWithApt(name: string, environment?: Readonly<Record<string, string>>): Promise<void>;
export function isExecutable(file: string): boolean;
