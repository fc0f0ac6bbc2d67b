"""Names what Excel or a wrong encoding made of a cell, which the form's rules can't.

Excel keeps fifteen digits of a number and makes zeros of the others, drops the zero a
telephone number begins with, and takes 1/30 for a day.  A program that can't write a
character writes ``?`` for it, and one that reads another encoding than the file's shows
other characters.
"""

from __future__ import annotations

import re
import unicodedata

from vault.card.brands import brand_of
from vault.card.pan import fold_typed, luhn_ok

from .. import texts

DIGITS_KEPT = 15
# So many zeros in place of digits are no chance: where the check digit is right, as it is
# by chance in one of ten, all four that nineteen digits have, which one real number in
# ten thousand ends in; where it is not asked for, two.
SURE_ZEROS, SURE_UNCHECKED = 4, 2

_SCIENTIFIC = re.compile(r"[0-9](?:[.,][0-9]*)?E\+?[0-9]+", re.IGNORECASE)
_FRACTION = re.compile(r"^([0-9]+)[.,]0+$")
_TOO_NARROW = re.compile(r"#+")
_NO_ZERO = re.compile(r"[1-9][0-9]{8,9}|81[1-9][0-9]{8,9}")
_MONTH = "(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
# A day as Excel shows it, or its number of days since 1900.
_DAY = re.compile(
    r"[0-9]{4}([/-])[0-9]{1,2}\1[0-9]{1,2}|[0-9]{1,2}月[0-9]{1,2}日"
    r"|[0-9]{4}年[0-9]{1,2}月(?:[0-9]{1,2}日)?"
    rf"|[0-9]+[ -]{_MONTH}|{_MONTH}[ -][0-9]+|[0-9]{{5}}",
    re.IGNORECASE,
)
_LOST = re.compile(r"[?\ufffd〓]|&#x?[0-9a-fA-F]+;")
_HALF_KANA = re.compile(r"[\uff61-\uff9f]")
# Any other letter; CP932 reads some bytes of EUC-JP as user-defined characters.
_BESIDE_KANA = re.compile(r"[\u3040-\uff60]")
# Encodings that a file is read in, and those it may really be in.
_IN_JAPANESE = (("cp932", "utf-8"), ("cp932", "euc_jp"))
_MISREAD = (*_IN_JAPANESE, ("latin-1", "utf-8"), ("cp1252", "utf-8"))
_JAPANESE = re.compile(r"[\u3040-\u9fff\uff61-\uff9f]")
# No word has these signs in these places.
_NO_KANA = re.compile(r"[｡｢｣､]|(?:^|[\s･])[ｧ-ｯｰﾞﾟ]|[ｱｲｴｵﾅ-ﾉﾏ-ﾝｧ-ｯ･ｰ]ﾞ|[ｱ-ﾉﾏ-ﾝｧ-ｯ･ｰ]ﾟ|[ﾞﾟ][ﾞﾟ]")

# What most names in Japan are written with, as far as CP932 reads all of it as half-width
# kana when it is EUC-JP.  No name in kana was found that reads as these alone.
_IN_NAMES = frozenset(
    "々三下世丸丹乃久之予五亘亮仁今伊佐俊保信修倉倫優元八冨凛刈刊則前加勇勝北十半"
    "原友古吉和哲善嘉土圭地坊坪垣堀塚夢天太夫姫子孝学宇安宏宗実宮富尋小就屋山岡岬"
    "工市帆平幸幹康弓弘彦彩律徳徹心恵悠悦愛成敏文斉斎斗新昇明星春昭晋晴晶智曽有望"
    "木本村松林柴栄栗桑梅森横橋次正永江池河治波洋津洲浜浦浩海涼淳添清渡湊澄瀬無熊"
    "片牧玉瑠甘生田由畑登百直真知石祐神祥福秀秋稔竜章竹紀絵織羽能脇船良花英茂荒菊"
    "菜華葉葵蓮蔵薫藤裕西要見角誠谷豊貴路輝辺辻造連進達遼郎都里重長間関阿陸陽隆雄"
    "青須飯馬龍"
)


def number_fault(cell: str, exempt: frozenset[str]) -> str:
    """What a spreadsheet made of a card number, or ""; ``exempt`` names the brands of
    which the check digit is not asked for."""
    typed = fold_typed(cell)
    if _is_number(cell) or _FRACTION.fullmatch(typed):
        return texts.EXCEL_NUMBER
    zeros = len(typed) - DIGITS_KEPT
    plain = typed.isascii() and typed.isdigit()
    if not plain or zeros < 1 or typed[DIGITS_KEPT:].strip("0"):
        return ""
    brand = brand_of(typed)
    if brand is not None and brand.name in exempt:
        may_be_right = zeros < SURE_UNCHECKED
    else:
        may_be_right = luhn_ok(typed) and zeros < SURE_ZEROS
    return "" if may_be_right else texts.EXCEL_ZEROS


def phone_fault(cell: str) -> str:
    """What a spreadsheet made of a telephone number that the rules refuse, or ""."""
    typed = unicodedata.normalize("NFKC", cell).strip()
    digits = _FRACTION.sub(r"\1", typed)
    lost = _is_number(typed) or _NO_ZERO.fullmatch(digits)
    return texts.EXCEL_PHONE if lost else ""


def _is_number(cell: str) -> bool:
    """Say whether a cell is shown as 4.11E+15, or as ### for want of width."""
    typed = unicodedata.normalize("NFKC", cell).strip()
    return bool(_SCIENTIFIC.fullmatch(typed) or _TOO_NARROW.fullmatch(typed))


def expiry_fault(month: str, year: str) -> str:
    """What a spreadsheet made of an expiry that the rules refuse, or ""."""
    cells = (unicodedata.normalize("NFKC", cell).strip() for cell in (month, year))
    return texts.EXCEL_EXPIRY if any(map(_DAY.fullmatch, cells)) else ""


def name_fault(name: str) -> str:
    """What an encoding made of a name, or ""."""
    if _LOST.search(name):
        return texts.NAME_LOST
    if name.isascii():
        return ""
    # What was read in a Western encoding has no Japanese letter.
    misread = _IN_JAPANESE if _JAPANESE.search(name) else _MISREAD
    garbled = any(_was(name, wrong, right) for wrong, right in misread)
    return texts.NAME_GARBLED if garbled else ""


def _was(name: str, wrong: str, right: str) -> bool:
    """Say whether ``name`` is Japanese text in the encoding ``right`` that was read in
    the encoding ``wrong``."""
    if right == "euc_jp" and not _HALF_KANA.search(name):
        return False
    try:
        meant = name.encode(wrong).decode(right)
    except UnicodeError:
        return False
    if right == "euc_jp" and not _is_garbled_kana(name, meant):
        return False
    return any("\u3040" <= letter <= "\u9fff" for letter in meant)


def _is_garbled_kana(name: str, meant: str) -> bool:
    """Say whether ``name``, which holds half-width kana, is no name in kana, but what
    it was ``meant`` for in EUC-JP: other letters stand among the kana, or signs where no
    word has them, or it was meant for characters that names are written with."""
    if _NO_KANA.search(name) or _BESIDE_KANA.search(name):
        return True
    letters = "".join(meant.split())
    return len(letters) > 1 and _IN_NAMES.issuperset(letters)
