"""The Japanese texts of the card pages that the code chooses."""

from __future__ import annotations

NAME = "お客様名"
PHONE = "電話番号"
NUMBER = "カード番号"
EXPIRY = "有効期限"
BRAND = "カードブランド"
PERSON = "担当者"
DELETED_AT = "削除日時"
MONTH = "Month"
YEAR = "Year"

ERROR_TITLE = "エラー："
SUMMARY = "入力内容に誤りがあります。"

REGISTER_CONFIRM = "登録します。よろしいですか？"
UPDATE_CONFIRM = "変更します。よろしいですか？"
DELETE_CONFIRM = "削除します。よろしいですか？"
DELETE_FINAL = "削除すると元に戻せません。"
CONFIRM_MISSING = "内容を確認して、チェックを入れてください。"

NAME_EMPTY = "お客様名を入力してください。"
NAME_LONG = "お客様名は100文字以内で入力してください。"
NAME_DIGITS = (
    "お客様名にカード番号またはセキュリティコードと思われる数字が含まれています。"
    "3〜4桁の数字は「301号室」のように続けて書いてください。"
    "カード番号は入力できません。"
)
NAME_CHARACTERS = "お客様名に使用できない文字が含まれています。"

PHONE_EMPTY = "電話番号を入力してください。"
PHONE_FORM = (
    "電話番号は0から始まる10桁または11桁の番号を入力してください"
    "（ハイフンはあってもなくてもかまいません）。"
)

NUMBER_REASONS = {
    "empty": "カード番号を入力してください。",
    "not_digits": "カード番号は数字で入力してください。",
    "brand": "このカードブランドは登録できません。",
    "length": "カード番号の桁数が正しくありません。",
    "check_digit": "カード番号が正しくありません。入力内容をご確認ください。",
}
NUMBER_AGAIN = "カード番号は安全のため再入力してください。"
NUMBER_NEEDED = (
    "登録済みのカード番号を確認できないため、新しいカード番号も入力してください。"
)

EXPIRY_REASONS = {
    "empty": "有効期限を入力してください。",
    "half": "有効期限は月と年の両方を入力してください。",
    "month": "有効期限の月は01〜12で入力してください。",
    "year": "有効期限の年は西暦（例：2030）で入力してください。",
    "past": "有効期限が切れています。",
    "far": "有効期限の年を確認してください。",
}
EXPIRY_NEEDED = "新しいカード番号の有効期限を入力してください。"

TYPED_IS_BACK = (
    "入力の途中でログアウトしたため、入力内容を戻しました。"
    "カード番号は安全のため再入力してください。"
)
UNCHANGED = "変更された項目がありません。"
CONFLICT = "他の担当者が先に更新しました。最新の内容を確認してください。"


def changed(label: str, before: str, after: str, by: str) -> str:
    """The line about one field that somebody else changed; ``by`` may be empty."""
    return f"{label}：{before} → {after}" + (f"（{by}）" if by else "")


def stored_now(text: str) -> str:
    """The hint beside a box that holds something else than what is stored."""
    return f"現在の登録：{text}"


NOT_FOUND = "指定されたクレジットカード情報は見つかりません。"
NOT_FOUND_ADVICE = "削除されたか、アドレスが誤っている可能性があります。"
CHOOSE_AGAIN = "一覧から選び直してください。"
NOTHING_DONE = "登録・更新は行われていません。"


def deleted_by(person: str, at: str) -> str:
    """Who deleted the customer that an address named, and when."""
    return f"{person}が{at}に削除しました。"


STALE_FORM = "画面が古くなっています。開き直して、もう一度入力してください。"

# By reason why the vault can't describe a customer's card: the text that says what to
# do, and for a card that no longer exists the word shown instead of its number.
CARD_PROBLEMS = {
    "damaged": (
        "登録済みのカード番号を確認できません。"
        "新しいカード番号への変更、または削除はできます。"
        "お手数ですが管理者へお知らせください。"
    ),
    "purged": (
        "保存期間が過ぎたため、カード番号は削除されました。"
        "新しいカード番号を登録してください。"
    ),
    "given up": (
        "カード番号を読み出せなくなったため、管理者が破棄しました。"
        "新しいカード番号を登録してください。"
    ),
    "missing": (
        "このお客様のカード番号は保管されていません。"
        "新しいカード番号への変更、または削除はできます。"
    ),
}
CARD_GONE = {"purged": "削除済み", "given up": "破棄済み", "missing": "保管なし"}


def number_of(masked: str, why_gone: str) -> str:
    """A card's number on a completion page, with a word when the card is gone: the mask
    tells which card to ask for."""
    return f"{masked}（{CARD_GONE[why_gone]}）" if why_gone else masked


NUMBERS_NEEDED = {
    reason: f"カード番号は{CARD_GONE[reason]}のため、新しいカード番号も入力してください。"
    for reason in ("purged", "given up")
}
NEW_NUMBER_NEEDED = "新しいカード番号を登録してください"
# The list has less room for a brand's name than the other pages.
SHORT_BRANDS = {"amex": "AMEX", "diners": "Diners", "unionpay": "銀聯"}


def likeness(name: str, *, besides: bool = False) -> str:
    """The warning that a similar card is stored already; with ``besides`` another one
    than the card that was just stored."""
    others = "、ほかにも" if besides else ""
    return f"同じと思われるカードが{others}登録されています（{name}様）。"


def registered_on(phone: str, day: str) -> str:
    """What tells one similar card from another."""
    return f"電話番号 {phone}・{day} 登録"


SAME_CUSTOMER = "このお客様は登録済みの可能性があります。"


def wrong_width(width: int) -> str:
    """The fault of an imported row whose number of cells doesn't fit the heading."""
    return f"列の数が見出しと違います（{width}列）。"


# The faults of an imported row that Excel or a wrong encoding made.
EXCEL_NUMBER = (
    "Excelがカード番号を数値に変えたため、桁が失われています（4.11E+15など）。"
    "Excelで列の表示形式を「文字列」にしてから、元の番号を入力し直してください。"
)
EXCEL_ZEROS = (
    "カード番号が正しくありません。"
    "Excelが数値に変えたため、16桁目からが0になっている可能性があります。"
    "Excelで列の表示形式を「文字列」にしてから、元の番号を入力し直してください。"
)
EXCEL_PHONE = (
    "Excelが電話番号を数値に変えたため、先頭の0（または+）が失われています。"
    "Excelで列の表示形式を「文字列」にしてから、元の番号を入力し直してください。"
)
EXCEL_EXPIRY = (
    "Excelが有効期限を日付に変えています。"
    "Excelで列の表示形式を「文字列」にしてから、月（01〜12）と年を入力し直してください。"
)
NAME_LOST = (
    "お客様名に、保存の際に失われた文字があります（?、〓または&#…;になっています）。"
    "元の文字に直し、CSV UTF-8で保存してください。"
)
NAME_GARBLED = (
    "お客様名が文字化けしています（ほかの行と違う文字コードで書かれています）。"
    "元の文字に直し、CSV UTF-8で保存してください。"
)

# The faults of a row of a file that updates customers, and why one was left alone.
KEY_FORMS = {
    "token": "トークンが正しくありません（「card_」で始まる36文字です）。",
    "public_id": "public_idが正しくありません（英小文字24文字です）。",
}
KEY_TWICE = "同じお客様の行がほかにもあります。1行にまとめてください。"
STATUS_UNKNOWN = (
    "statusの値が設定（CARD_STOPPED_VALUES）にありません。"
    "停止でなければ空欄にしてください。"
)
STOPPED_WITH_NUMBER = (
    "停止のカードに新しいカード番号があります。"
    "statusかcard_numberのどちらかを空欄にしてください。"
)
CUSTOMER_UNKNOWN = "このお客様は登録されていません。"
CUSTOMER_DELETED = "このお客様は削除されています。"
CHANGED_MEANWHILE = (
    "処理中に、ほかで変更または削除されました。最新の内容を確認してください。"
)
CHANGED_SINCE = "この行を取り込んだ後に変更されています。最新の内容を確認してください。"
NUMBER_CHANGED = "このトークンのカード番号は、その後に変更されています。"

STOPPED = "要確認"
STOPPED_ADVICE = (
    "カード会社から、このカードは使えないとの回答がありました。"
    "お客様に確認し、新しいカード番号を登録してください。"
)


def stopped_since(day: str) -> str:
    """The badge of a customer whose card is stopped, with the day it was marked."""
    return f"{STOPPED} {day}"


EXPIRED = "期限切れ"
EXPIRES_SOON = "期限間近"

# The name of the workbook's one sheet.
SHEET = "一覧"


def too_many_for_a_workbook(most: int) -> str:
    """Says how many customers a workbook may have, and what to do with more."""
    return (
        f"Excelで保存できるのは{most:,}件までです。"
        "検索などで絞り込むか、「CSVで保存」をご利用ください。"
    )


CSV_HEADINGS = (NAME, PHONE, NUMBER, BRAND, EXPIRY, "更新日時")

HISTORY_EVENTS = {
    "card.registered": "カード番号の登録",
    "card.replaced": "カード番号の変更",
    "card.expiry_changed": "有効期限の変更",
    "card.stopped": "カード停止の回答（要確認）",
    "card.purged": "カード番号の削除（保存期間の終了）",
    "card.given_up": "カード番号の破棄",
    "customer.registered": "お客様の登録",
    "customer.updated": "お客様情報の変更",
}
NOT_SAVED = "（保存されませんでした）"
HISTORY_FIELDS = {"name": NAME, "phone": PHONE}
REGISTERED = "新規登録"
IMPORTED = "一括登録"
ADMINISTRATOR = "管理者"
ADMINISTRATOR_IMPORT = "管理者（一括登録）"
# Whom an entry of a command names, where its event says which command it was.
ADMINISTRATORS = {
    "card.purged": "管理者（保存期間の処理）",
    "card.registered": "管理者（洗替）",
    "card.replaced": "管理者（洗替）",
    "card.expiry_changed": "管理者（洗替）",
    "card.stopped": "管理者（洗替）",
    "customer.updated": "管理者（洗替）",
}
DAMAGED_ROW = "（確認できません）"
