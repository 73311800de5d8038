"""Long work with advances.

perform.py pays one out, importing.py brings in a file of them, import_lines.py reads its lines.
"""
