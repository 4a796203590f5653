import type { ButtonHTMLAttributes, ReactNode } from 'react';
import { Icon, type IconName } from './icon.js';

type ButtonProps = ButtonHTMLAttributes<HTMLButtonElement> & { tone?: 'plain' | 'main' | 'go' | 'stop' | 'quiet' };

export function Button({ tone = 'plain', className = '', ...rest }: ButtonProps): ReactNode {
  return <button type="button" className={`button ${tone} ${className}`} {...rest} />;
}

/** A round button with an icon. The label is its accessible name and tooltip. */
export function IconButton({
  icon,
  label,
  off,
  tone = 'quiet',
  ...rest
}: ButtonProps & { icon: IconName; label: string; off?: boolean }): ReactNode {
  return (
    <button type="button" className={`round ${tone}`} aria-label={label} title={label} {...rest}>
      <Icon name={icon} off={off ?? false} />
    </button>
  );
}
