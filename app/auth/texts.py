"""The Japanese texts of the login pages that the code chooses."""

from __future__ import annotations

LOGIN_ID = "ログインID"
PASSWORD = "パスワード"  # noqa: S105
EMAIL = "メールアドレス"
CODE = "認証コード"
CURRENT_PASSWORD = "現在のパスワード"  # noqa: S105
NEW_PASSWORD = "新しいパスワード"  # noqa: S105
NEW_PASSWORD_AGAIN = "新しいパスワード（確認）"  # noqa: S105

LOGIN_ID_EMPTY = "ログインIDを入力してください。"
PASSWORD_EMPTY = "パスワードを入力してください。"  # noqa: S105
REFUSED = (
    "ログインIDまたはパスワードが正しくありません。"
    "連続して失敗した場合は30分間ロックされます。"
)
EXPIRED = (
    "一定時間操作がなかったため、ログアウトしました。もう一度ログインしてください。"
)
REPLACED = (
    "同じログインIDで別のログインがあったため、ログアウトしました。"
    "お心当たりがない場合は、管理者に連絡してください。"
)
LONGEST = (
    "ログインから8時間が過ぎたため、ログアウトしました。もう一度ログインしてください。"
)
BY_ADMINISTRATOR = "管理者の操作により、ログアウトしました。"
BY_NEW_PASSWORD = (
    "パスワードが変更されたため、ログアウトしました。もう一度ログインしてください。"  # noqa: S105
)
NOTHING_DONE = "登録・更新は行われていません。"
LOGGED_OUT = "ログアウトしました。"

EMAIL_EMPTY = "メールアドレスを入力してください。"
EMAIL_FORM = "メールアドレスの形式が正しくありません。例：taro@example.co.jp"
LOGIN_SENDS = (
    "1回のログインで送信できるのは3回までです。ログインからやり直してください。"
)
DAY_SENDS = "本日の送信回数の上限（10回）に達しました。管理者に連絡してください。"
CODE_STILL_GOOD = "届いている認証コードは、そのまま使えます。"

CODE_EMPTY = "認証コードを入力してください。"
CODE_EXPIRED = (
    "認証コードの有効期限が切れています。「認証コードを再送信」を押してください。"
)
CODE_ENDED = (
    "入力回数が上限に達しました。30分後にもう一度ログインしてください。"
    "ログインできないときは、管理者に連絡してください。"
)
CODE_SENT_AGAIN = "認証コードを再送信しました。"

CURRENT_EMPTY = "現在のパスワードを入力してください。"
CURRENT_WRONG = "現在のパスワードが正しくありません。"
NEW_EMPTY = "新しいパスワードを入力してください。"
AGAIN_DIFFERS = "新しいパスワードと確認用のパスワードが一致しません。"
PASSWORD_LENGTH = "パスワードは15文字以上128文字以内で入力してください。"  # noqa: S105
PASSWORD_UNPRINTABLE = "パスワードに使用できない文字が含まれています。"  # noqa: S105
PASSWORD_KINDS = "パスワードには英字と数字の両方を入れてください。"  # noqa: S105
PASSWORD_CARD_NUMBER = "カード番号はパスワードに使用できません。"  # noqa: S105
EASY_OWN = "ログインID・お名前・メールアドレス・サイト名"
EASY_WORD = "よく使われる言葉や並び"
EASY_REPEAT = "同じ文字や言葉のくり返し"
EASY_KEYBOARD = "キーボードの並び"
EASY_ORDER = "連続した文字や数字"
EASY_DATE = "日付や年"
PASSWORD_USED = "最近使用したパスワードは使用できません。"  # noqa: S105
PASSWORD_CHANGED = "パスワードを変更しました。"  # noqa: S105

TOTP_WRONG = (
    "認証コードが正しくありません。認証アプリに表示されている6桁の数字を"
    "入力してください。スマートフォンの時刻もご確認ください。"
)
TOTP_ENROLLED = "認証アプリを設定しました。次のログインから使用します。"
PASSKEY_WRONG = (
    "パスキーを確認できませんでした。もう一度「パスキーでログイン」を押してください。"
)
PASSKEY_UNREADABLE = (
    "パスキーの応答を読み取れませんでした。ブラウザーの拡張機能（パスワード管理など）を"
    "無効にして、もう一度お試しください。"
)
PASSKEY_ONLY = "「パスキーでログイン」を押してください。"
PASSKEY_NOT_MADE = "パスキーを追加できませんでした。もう一度お試しください。"
PASSKEYS_FULL = "パスキーは10個まで追加できます。使わないパスキーを削除してください。"
PASSKEY_ENROLLED = "パスキーを追加しました。次のログインから使用します。"
PASSKEY_NAME = "パスキーの名前"
PASSKEY_NAME_GIVEN = "このパソコン"
PASSKEY_NAME_LONG = "パスキーの名前は30文字以内で入力してください。"
PASSKEY_NAME_CHARACTERS = "パスキーの名前に使用できない文字が含まれています。"
PASSKEY_NAME_NUMBER = "パスキーの名前にカード番号は使用できません。"
REMOVAL_UNCONFIRMED = "内容を確認して、チェックを入れてください。"
TOTP_REMOVED = "認証アプリを削除しました。"
PASSKEY_REMOVED = "パスキーを削除しました。"
LAST_FACTOR = (
    "最後のログイン方法は削除できません。"
    "メールの認証コードに戻すときは、管理者に連絡してください。"
)


def password_easy(what: str) -> str:
    """The text about a new password that is easily guessed because of ``what``."""
    return (
        f"推測されやすいパスワードです（{what}）。"
        "互いに関係のない、あまり使われない言葉と数字を組み合わせてください。"
    )


def sends_apart(seconds: int) -> str:
    """The text about a code asked for within a minute of the last, with the wait."""
    return f"認証コードは1分に1回まで送信できます。あと{seconds}秒お待ちください。"


def code_wrong(left: int) -> str:
    """The text about a wrong code, with how many tries are left."""
    return f"認証コードが正しくありません。（残り{left}回）"
